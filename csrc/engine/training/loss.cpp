// The pass between forward and backward: the losses, and their gradients in the place of the logits.
#include "engine/training/passes.h"
#include "engine/training/softmax_cross_entropy.h"

namespace namegen::cpu::NAMEGEN_ISA {

template <class T>
double cross_entropy(StepState<T>& s, int64_t batch) {
  const int64_t columns = padded<T>(s.network.vocab);
  double sums[8] = {};  // one a chunk
  s.for_chunks(batch, 20.0 * batch * columns, [&](int64_t chunk, int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      sums[chunk] += softmax_cross_entropy_row<T>(s.logits.data() + i * columns, s.network.vocab, s.targets.data()[i],
                                                  T(1) / T(batch));
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

template double cross_entropy(StepState<float>&, int64_t);
template double cross_entropy(StepState<double>&, int64_t);

}  // namespace namegen::cpu::NAMEGEN_ISA
