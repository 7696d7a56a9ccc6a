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

bool takes_embedding_concat_linear_batch_norm(const EmbeddingConcatLinearShape& shape, int64_t element_bytes) {
  const auto& s = shape;
  if (s.vocab >= s.batch || s.block < 1 || s.embed < 1 || s.hidden < 1) return false;
  // Three tables: the rows, the sums of the gradient, and those of the normalised values. In double, since the sizes of
  // empty tensors may be huge.
  const double tables = 3.0 * double(s.block) * double(s.vocab) * double(s.hidden + 32);
  const double unfused = double(s.batch) * (double(s.block) * s.embed + 2.0 * double(s.hidden));
  const double small = double(1 << 20) / double(element_bytes);
  return tables <= (unfused > small ? unfused : small);
}

const Kernels& kernels_for(const std::string& isa) { return *kKernelsOfIsas[isa_number(isa)]; }

const Kernels& kernels() {
  static const Kernels& chosen = *kKernelsOfIsas[isa_in_use()];
  return chosen;
}

}  // namespace namegen::cpu
