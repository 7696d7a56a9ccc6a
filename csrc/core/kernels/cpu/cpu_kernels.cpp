#include "kernels/cpu/cpu_kernels.h"

namespace namegen::cpu {

#define NAMEGEN_INSTRUCTION_SET(name, features) \
  namespace name {                              \
  extern const Kernels kKernels;                \
  }
#include "kernels/cpu/instruction_sets.inc"

namespace {

const Kernels* const kKernelsOfIsas[] = {
#define NAMEGEN_INSTRUCTION_SET(name, features) &name::kKernels,
#include "kernels/cpu/instruction_sets.inc"
};

}  // namespace

const Kernels& kernels_for(const std::string& isa) { return *kKernelsOfIsas[isa_number(isa)]; }

const Kernels& kernels() {
  static const Kernels& chosen = *kKernelsOfIsas[isa_in_use()];
  return chosen;
}

}  // namespace namegen::cpu
