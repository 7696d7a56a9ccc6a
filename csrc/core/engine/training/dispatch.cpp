#include "engine/training/dispatch.h"

#include <stdexcept>
#include <string>

#include "kernels/cpu/dispatch.h"

namespace namegen::cpu {

using Factory = engine::StepEngine* (*)(const engine::Network&, const engine::Optimizer&, DType);

namespace baseline {
engine::StepEngine* make_step_engine(const engine::Network&, const engine::Optimizer&, DType);
}
#if defined(NAMEGEN_WITH_X86_ISAS)
namespace avx2 {
engine::StepEngine* make_step_engine(const engine::Network&, const engine::Optimizer&, DType);
}
namespace avx512 {
engine::StepEngine* make_step_engine(const engine::Network&, const engine::Optimizer&, DType);
}
#endif

}  // namespace namegen::cpu

namespace namegen::engine {
namespace {

cpu::Factory factory_for(const std::string& isa) {
#if defined(NAMEGEN_WITH_X86_ISAS)
  if (isa == "avx2") return cpu::avx2::make_step_engine;
  if (isa == "avx512") return cpu::avx512::make_step_engine;
#endif
  return isa == "baseline" ? cpu::baseline::make_step_engine : nullptr;
}

}  // namespace

std::unique_ptr<StepEngine> make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype,
                                             const char* isa) {
  // Refuses an instruction set that was not compiled or that the CPU lacks.
  const cpu::Factory make = factory_for(cpu::kernels_for(isa).isa);
  if (make == nullptr) throw std::runtime_error("the step engine was not compiled for '" + std::string(isa) + "'");
  return std::unique_ptr<StepEngine>(make(network, optimizer, dtype));
}

std::unique_ptr<StepEngine> make_step_engine(const Network& network, const Optimizer& optimizer, DType dtype) {
  return make_step_engine(network, optimizer, dtype, cpu::kernels().isa);
}

}  // namespace namegen::engine
