#include "engine/sampling/sampling_kernels.h"

#include "kernels/cpu/instruction_sets.h"

namespace namegen::cpu {

#define NAMEGEN_INSTRUCTION_SET(name, features)            \
  namespace name {                                         \
  extern const sampling::SamplingKernels kSamplingKernels; \
  }
#include "kernels/cpu/instruction_sets.inc"

}  // namespace namegen::cpu

namespace namegen::sampling {
namespace {

const SamplingKernels* const kKernelsOfIsas[] = {
#define NAMEGEN_INSTRUCTION_SET(name, features) &cpu::name::kSamplingKernels,
#include "kernels/cpu/instruction_sets.inc"
};

}  // namespace

const SamplingKernels& sampling_kernels_for(const std::string& isa) { return *kKernelsOfIsas[cpu::isa_number(isa)]; }

const SamplingKernels& sampling_kernels() {
  static const SamplingKernels& chosen = *kKernelsOfIsas[cpu::isa_in_use()];
  return chosen;
}

}  // namespace namegen::sampling
