#include "engine/training/step_engine.h"

#include "kernels/cpu/instruction_sets.h"

namespace namegen::cpu {

#define NAMEGEN_INSTRUCTION_SET(name, features)                                                  \
  namespace name {                                                                               \
  engine::StepEngine* make_step_engine(const engine::Network&, const engine::Optimizer&, DType); \
  }
#include "kernels/cpu/instruction_sets.inc"

}  // namespace namegen::cpu

namespace namegen::engine {
namespace {

using Factory = StepEngine* (*)(const Network&, const Optimizer&, DType);
const Factory kFactoriesOfIsas[] = {
#define NAMEGEN_INSTRUCTION_SET(name, features) cpu::name::make_step_engine,
#include "kernels/cpu/instruction_sets.inc"
};

}  // namespace

std::unique_ptr<StepEngine> make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype,
                                             const std::string& isa) {
  return std::unique_ptr<StepEngine>(kFactoriesOfIsas[cpu::isa_number(isa)](network, optimizer, dtype));
}

std::unique_ptr<StepEngine> make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype) {
  return std::unique_ptr<StepEngine>(kFactoriesOfIsas[cpu::isa_in_use()](network, optimizer, dtype));
}

}  // namespace namegen::engine
