// The way back through a linear: the gradients of its weight, bias and input.
#pragma once

#include "engine/training/optimizers.h"
#include "engine/training/symbol_sums.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The gradient a^T @ b of those rows of a weight that begin at `offset`, for a (count, rows) and b (count, columns). It
// goes to `gradient`; with one chunk SGD moves the weight at once, and its gradient goes through no memory.
template <class T>
inline void weight_gradient(const StepState<T>& s, int64_t offset, T* gradient, int64_t weight_stride, const T* a,
                            int64_t a_stride, int64_t rows, const T* b, int64_t b_stride, int64_t columns,
                            int64_t count) {
  const auto multiply_and = [&](const auto& finish) {
    multiply_transposed<T>(a, a_stride, rows, b, b_stride, columns, count, gradient, weight_stride, finish);
  };
  if (s.update_at_once) {
    T* weight = s.value(offset);
    const T rate = T(s.learning_rate);
    if (s.optimizer.momentum == 0 && s.optimizer.weight_decay == 0) {
      multiply_and([=](int64_t at, Vec<T> g) { store(weight + at, load(weight + at) - g * rate); });
    } else {
      T* momentum = s.optimizer.momentum != 0 ? s.state_at(Slot::kFirstState, offset) : nullptr;
      multiply_and(
          [&](int64_t at, Vec<T> g) { update_sgd_at<T>(s.optimizer, weight + at, momentum + at, g, rate, s.updates); });
    }
  } else if (count > 0) {
    multiply_and([=](int64_t at, Vec<T> g) { store(gradient + at, g); });
  } else {
    for (int64_t r = 0; r < rows; ++r) fill_zero(gradient + r * weight_stride, columns);
  }
}

// finish(row, column, Constant<NV>, values): the gradient of x, dz @ weight, where the weight lies as (outputs,
// inputs).
template <class T, class Finish>
inline void input_gradient(const LinearLayout& linear, const T* weight, const T* dz, int64_t rows,
                           const Finish& finish) {
  const int64_t columns = linear.transposed_stride();
  multiply<T>({dz, linear.weight_stride, 1, 0, linear.outputs}, rows, weight, columns, columns, finish);
}

// The gradient before the tanh of `level`, whose rows are the linear's input as they lie. That of a first level without
// batch norm goes into the sums per symbol at once, between the products of tiles, which leave the memory idle (an
// MLP's step at batch 32: 11.9 to 11.4 us, at 1,024: 166 to 153).
template <class T>
inline void gradient_before_tanh(const StepState<T>& s, const LinearLayout& linear, const T* weight, int64_t level,
                                 const T* dz, const RowRange& range) {
  const int64_t columns = s.stride(level);
  const T* y = s.levels[level].y.data() + range.first * columns;
  const auto multiply_and = [&](const auto& finish) {
    input_gradient(linear, weight, dz, range.count(), [=](int64_t r, int64_t column, auto nv, const Vec<T>* dy) {
      constexpr int NV = decltype(nv)::value;
      Vec<T> gradient[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const Vec<T> value = load(y + r * columns + column + v * kWidth<T>);
        gradient[v] = dy[v] * (1 - value * value);
      }
      finish(r, column, nv, gradient);
    });
  };
  if (level == 0 && !s.network.levels[0].batch_norm) {
    const SymbolSums<T> sums(s, range);
    multiply_and([=](int64_t r, int64_t column, auto nv, const Vec<T>* gradient) {
      sums.template add<decltype(nv)::value>(r, column, gradient);
    });
  } else {
    multiply_and(StoreRows<T>{s.levels[level].dz.data() + range.first * columns, columns});
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
