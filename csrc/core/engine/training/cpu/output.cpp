// The pass between forward and backward: from the last level to the losses, and back to the last level.
#include "engine/training/cpu/batch_norm_passes.h"
#include "engine/training/cpu/linear_gradients.h"
#include "engine/training/cpu/passes.h"
#include "kernels/cpu/softmax_cross_entropy.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// Returns the sum of the losses of all examples of a chunk of contexts. The logits become their gradients.
template <class T>
double cross_entropy_rows(const StepState<T>& s, const RowRange& range) {
  const int64_t vocab = s.network.vocab, columns = padded<T>(vocab);
  const T scale = T(1) / T(s.now->size);
  SumOfLogs logs;
  double rest = 0;
  for (int64_t r = range.first; r < range.end; ++r) {
    const int32_t* examples = s.now->examples_of.members + s.now->examples_of.begin[r];
    rest += softmax_cross_entropy_row<T>(
        s.logits.data() + r * columns, vocab, s.now->examples_of.begin[r + 1] - s.now->examples_of.begin[r],
        [&](int64_t i) { return s.now->targets.data()[examples[i]]; }, scale, logs);
  }
  return logs.value() + rest;
}

// The way back from the gradients of a chunk's logits to the last level, with the gradients of the output linear.
template <class T>
void output_gradients(const StepState<T>& s, const RowRange& range) {
  const LinearLayout& linear = s.layout.output;
  const int64_t last = s.num_levels() - 1, columns = padded<T>(s.network.vocab);
  const T* dlogits = s.logits.data() + range.first * columns;
  const T* y = s.levels[last].y.data() + range.first * s.stride(last);
  // The weight is read before it is moved.
  gradient_before_tanh(s, input_gradient_of<T>(linear, s.value(linear.weight), dlogits, range.count()), last, range);
  weight_gradient<T>(
      s, linear.weight, s.chunk_gradient(range.chunk, linear.weight), linear.segment_stride,
      {dlogits, columns, linear.outputs, y, linear.segment_stride, linear.segment_stride, range.count()});
  if (linear.bias >= 0) {
    sum_rows<T>(dlogits, columns, columns, range.count(), s.chunk_gradient(range.chunk, linear.bias));
  }
  if (s.norm(last)) chunk_gradient_sums(s, last, range);
}

}  // namespace

template <class T>
double output(StepState<T>& s) {
  const bool has_levels = s.num_levels() > 0;
  const int64_t rows = s.now->outputs.count, columns = padded<T>(s.network.vocab);
  double losses[ExampleChunks::kMost] = {};
  const double back = ((has_levels ? 4.0 * s.layout.output.inputs : 0) + 20) * double(rows) * columns;
  s.for_chunks(rows, logits_flops(s) + back, [&](const RowRange& range) {
    logits_rows(s, range);
    losses[range.chunk] = cross_entropy_rows(s, range);
    if (has_levels) output_gradients(s, range);
  });
  double total = 0;
  for (const double loss : losses) total += loss;
  return total;
}

template double output(StepState<float>&);
template double output(StepState<double>&);

}  // namespace namegen::cpu::NAMEGEN_ISA
