// The whole step of a network that is one table of logits. All examples of a context share a row of the table. So the
// losses and gradients follow from how often each target follows each context.
#include "engine/training/cpu/passes.h"
#include "kernels/cpu/softmax_cross_entropy.h"

namespace namegen::cpu::NAMEGEN_ISA {

bool pairs_can_be_counted(int64_t levels, int64_t vocab, int64_t batch) { return levels == 0 && vocab <= batch; }

template <class T>
double cross_entropy_of_pairs(StepState<T>& s) {
  const int64_t batch = s.now->size, vocab = s.network.vocab, columns = s.layout.embedding_stride;
  int32_t* counts = scratch_array<int32_t>(s.context, vocab * vocab);  // [context][target]
  for (int64_t i = 0; i < vocab * vocab; ++i) counts[i] = 0;
  for (int64_t i = 0; i < batch; ++i) ++counts[s.now->contexts.data()[i] * vocab + s.now->targets.data()[i]];

  double total = 0;
  for (int64_t context = 0; context < vocab; ++context) {
    const int32_t* of = counts + context * vocab;
    const T* logits = s.value(context * columns);
    T* gradient = s.gradient(context * columns);
    int64_t examples = 0;
    for (int64_t target = 0; target < vocab; ++target) examples += of[target];
    if (examples == 0) {
      fill_zero(gradient, columns);
      continue;
    }
    __builtin_memcpy(gradient, logits, columns * sizeof(T));
    const Exponentials<T> row = take_exponentials(gradient, vocab);
    double wanted = 0;
    for (int64_t target = 0; target < vocab; ++target) {
      if (of[target] > 0) wanted += double(of[target]) * double(logits[target] - row.top);
    }
    total += double(examples) * __builtin_log(double(row.sum)) - wanted;
    const T share = T(examples) / (row.sum * T(batch));
    for (int64_t target = 0; target < vocab; ++target) {
      gradient[target] = gradient[target] * share - T(of[target]) / T(batch);
    }
  }
  return total;
}

template double cross_entropy_of_pairs(StepState<float>&);
template double cross_entropy_of_pairs(StepState<double>&);

}  // namespace namegen::cpu::NAMEGEN_ISA
