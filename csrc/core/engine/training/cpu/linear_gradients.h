// The way back through a linear layer of the network: where its operands lie, and where its gradients go. The
// arithmetic is kernels/cpu/padded_linear_backward.h.
#pragma once

#include "engine/training/cpu/symbol_sums.h"
#include "kernels/cpu/padded_linear_backward.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The gradient of those rows of a weight that begin at `offset`. It goes to `gradient`. Where SGD moves weights at
// once, it moves the weight instead.
template <class T>
inline void weight_gradient(const StepState<T>& s, int64_t offset, T* gradient, int64_t weight_stride,
                            const TransposedProduct<T>& product) {
  if (!s.update_at_once) return store_weight_gradient(product, gradient, weight_stride);
  T* momentum = s.optimizer.momentum != 0 ? s.state_at(Slot::kFirstState, offset) : nullptr;
  move_weight_by_sgd(product, s.optimizer, s.value(offset), momentum, gradient, weight_stride, T(s.learning_rate),
                     s.updates);
}

// `weight` lies as (outputs, inputs).
template <class T>
inline InputGradient<T> input_gradient_of(const LinearLayout& linear, const T* weight, const T* dz, int64_t rows) {
  return {dz, linear.weight_stride, rows, linear.outputs, weight, linear.transposed_stride()};
}

// The gradient before the tanh of `level`, whose rows are the linear's input as they lie. Where the level is the first
// and has no batch norm, the gradient is added to the sums per symbol at once, since memory is idle between the
// products of tiles. Measured: 11.9 us with the sums in a pass of their own, 11.4 us at once (an MLP's step, 32
// examples); 166 us with a pass of their own, 153 us at once (1,024 examples).
template <class T>
inline void gradient_before_tanh(const StepState<T>& s, const InputGradient<T>& product, int64_t level,
                                 const RowRange& range) {
  const int64_t columns = s.stride(level);
  const T* y = s.levels[level].y.data() + range.first * columns;
  if (level == 0 && !s.norm(0)) {
    const SymbolSums<T> sums(s, range);
    input_gradient_before_tanh(product, y, [=](int64_t r, int64_t column, auto nv, const Vec<T>* gradient) {
      sums.template add<decltype(nv)::value>(r, column, gradient);
    });
    return;
  }
  input_gradient_before_tanh(product, y, StoreRows<T>{s.levels[level].dz.data() + range.first * columns, columns});
}

}  // namespace namegen::cpu::NAMEGEN_ISA
