#include "engine/gpt/dispatch.h"

#include <stdexcept>

#include "kernels/cpu/dispatch.h"

namespace namegen::cpu {

using GptFactory = engine::GptEngine* (*)(const engine::GptNetwork&, const engine::Optimizer&, DType);

namespace baseline {
engine::GptEngine* make_gpt_engine(const engine::GptNetwork&, const engine::Optimizer&, DType);
}
#if defined(NAMEGEN_WITH_X86_ISAS)
namespace avx2 {
engine::GptEngine* make_gpt_engine(const engine::GptNetwork&, const engine::Optimizer&, DType);
}
namespace avx512 {
engine::GptEngine* make_gpt_engine(const engine::GptNetwork&, const engine::Optimizer&, DType);
}
#endif

}  // namespace namegen::cpu

namespace namegen::engine {
namespace {

cpu::GptFactory gpt_factory_for(const std::string& isa) {
#if defined(NAMEGEN_WITH_X86_ISAS)
  if (isa == "avx2") return cpu::avx2::make_gpt_engine;
  if (isa == "avx512") return cpu::avx512::make_gpt_engine;
#endif
  return isa == "baseline" ? cpu::baseline::make_gpt_engine : nullptr;
}

}  // namespace

std::unique_ptr<GptEngine> make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype,
                                           const std::string& isa) {
  // Refuses an instruction set that was not compiled or that the CPU lacks.
  const cpu::GptFactory make = gpt_factory_for(cpu::kernels_for(isa).isa);
  if (make == nullptr) throw std::runtime_error("the GPT's engine was not compiled for '" + isa + "'");
  return std::unique_ptr<GptEngine>(make(network, optimizer, dtype));
}

std::unique_ptr<GptEngine> make_gpt_engine(const GptNetwork& network, const Optimizer& optimizer, DType dtype) {
  return make_gpt_engine(network, optimizer, dtype, cpu::kernels().isa);
}

}  // namespace namegen::engine
