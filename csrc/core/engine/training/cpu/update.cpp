// The update pass, and the second copy of the weights.
#include "engine/training/cpu/passes.h"
#include "kernels/cpu/add_arrays.h"
#include "kernels/cpu/optimizers.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

// Moves the parameters at offsets [begin, end). Their gradients are the sum of 1 + `partials` arrays.
template <class T>
void update_range(StepState<T>& s, int64_t begin, int64_t end, int64_t partials) {
  constexpr int64_t kSlice = 4096;
  const double micros = double(end - begin) * (4 + partials) / kFlopsPerMicro;
  parallel_for(s.context, ceil_div(end - begin, kSlice), micros, [&](int64_t task) {
    const int64_t first = begin + task * kSlice;
    const UpdatePiece<T> piece{s.value(first), s.state_at(Slot::kFirstState, first),
                               s.state_at(Slot::kSecondState, first), s.gradient(first), smaller(kSlice, end - first)};
    if (partials > 0) {
      add_arrays(s.gradient(first), s.chunk_gradient(1, first), partials, s.layout.size - s.layout.shared, piece.count);
    }
    if (s.optimizer.kind == OptimizerKind::kAdamW) {
      update_adamw<T>(s.optimizer, piece, s.learning_rate, s.updates);
    } else {
      update_sgd<T>(s.optimizer, piece, T(s.learning_rate), s.updates);
    }
  });
}

}  // namespace

template <class T>
void update(StepState<T>& s) {
  const int64_t partials = s.chunks() - 1;
  update_range(s, 0, s.update_at_once ? s.layout.first_weight : s.layout.shared, 0);
  update_range(s, s.layout.shared, s.update_at_once ? s.layout.other_weights : s.layout.size, partials);
  transpose_weights(s, s.context);
}

template <class T>
void transpose_weights(StepState<T>& s, Context& context) {
  for (int64_t l = 1; l < s.num_levels(); ++l) {  // the backward pass of the first level reads the weight as it lies
    const LinearLayout& linear = s.layout.levels[l].linear;
    const double micros = double(linear.outputs) * linear.transposed_stride() / 1e4;
    parallel_for(context, ceil_div(linear.outputs, kWidth<T>), micros,
                 [&](int64_t task) { transpose_weight<T>(linear, task * kWidth<T>, s.value(0), s.transposed.data()); });
  }
}

template void update(StepState<float>&);
template void update(StepState<double>&);
template void transpose_weights(StepState<float>&, Context&);
template void transpose_weights(StepState<double>&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
