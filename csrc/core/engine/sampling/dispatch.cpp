#include "kernels/cpu/dispatch.h"

#include "engine/sampling/kernels.h"

namespace namegen::cpu {

namespace baseline {
extern const sampling::SamplingKernels kSamplingKernels;
}
#if defined(NAMEGEN_WITH_X86_ISAS)
namespace avx2 {
extern const sampling::SamplingKernels kSamplingKernels;
}
namespace avx512 {
extern const sampling::SamplingKernels kSamplingKernels;
}
#endif

}  // namespace namegen::cpu

namespace namegen::sampling {

const SamplingKernels& sampling_kernels_for(const char* isa) {
  const std::string name = cpu::kernels_for(isa).isa;  // throws for what cannot be had
#if defined(NAMEGEN_WITH_X86_ISAS)
  if (name == "avx512") return cpu::avx512::kSamplingKernels;
  if (name == "avx2") return cpu::avx2::kSamplingKernels;
#endif
  return cpu::baseline::kSamplingKernels;
}

const SamplingKernels& sampling_kernels() {
  static const SamplingKernels& chosen = sampling_kernels_for(cpu::kernels().isa);
  return chosen;
}

}  // namespace namegen::sampling
