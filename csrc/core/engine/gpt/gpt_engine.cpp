#include "engine/gpt/gpt_engine.h"

#include "kernels/cpu/instruction_sets.h"

namespace namegen::cpu {

#define NAMEGEN_INSTRUCTION_SET(name, features)                                                   \
  namespace name {                                                                                \
  engine::GptEngine* make_gpt_engine(const engine::GptNetwork&, const engine::Optimizer&, DType); \
  }
#include "kernels/cpu/instruction_sets.inc"

}  // namespace namegen::cpu

namespace namegen::engine {
namespace {

using GptFactory = GptEngine* (*)(const GptNetwork&, const Optimizer&, DType);
const GptFactory kGptFactoriesOfIsas[] = {
#define NAMEGEN_INSTRUCTION_SET(name, features) cpu::name::make_gpt_engine,
#include "kernels/cpu/instruction_sets.inc"
};

}  // namespace

std::unique_ptr<GptEngine> make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype,
                                           const std::string& isa) {
  return std::unique_ptr<GptEngine>(kGptFactoriesOfIsas[cpu::isa_number(isa)](network, optimizer, dtype));
}

std::unique_ptr<GptEngine> make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype) {
  return std::unique_ptr<GptEngine>(kGptFactoriesOfIsas[cpu::isa_in_use()](network, optimizer, dtype));
}

}  // namespace namegen::engine
