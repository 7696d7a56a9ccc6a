// The way back through a linear: the gradients of its weight, bias and input.
#pragma once

#include "engine/training/optimizers.h"
#include "engine/training/step_state.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The gradient of columns [column, column + count) of one segment of a weight, x^T @ dz; with one chunk SGD moves the
// weight at once, and its gradient goes through no memory.
template <class T>
inline void multiply_weight(const StepState<T>& s, const LinearLayout& linear, int64_t segment, const T* x,
                            int64_t x_stride, const T* dz, int64_t column, int64_t count, int64_t rows,
                            T* gradient_of_weight) {
  const int64_t columns = linear.weight_stride, first = segment * linear.inputs * columns + column;
  T* target = gradient_of_weight + first;
  const auto multiply_and = [&](const auto& finish) {
    multiply_transposed<T>(x, x_stride, linear.inputs, dz + column, columns, count, rows, target, columns, finish);
  };
  if (s.update_at_once) {
    T* weight = s.value(linear.weight) + first;
    const T rate = T(s.learning_rate);
    if (s.optimizer.momentum == 0 && s.optimizer.weight_decay == 0) {
      multiply_and([=](int64_t at, Vec<T> g) { store(weight + at, load(weight + at) - g * rate); });
    } else {
      T* momentum = s.optimizer.momentum != 0 ? s.state_at(Slot::kFirstState, linear.weight) + first : nullptr;
      multiply_and(
          [&](int64_t at, Vec<T> g) { update_sgd_at<T>(s.optimizer, weight + at, momentum + at, g, rate, s.updates); });
    }
  } else {
    multiply_and([=](int64_t at, Vec<T> g) { store(target + at, g); });
  }
}

// A chunk's share of the gradients of weight and bias, from its rows of x and dz.
template <class T>
inline void linear_gradients(const StepState<T>& s, const LinearLayout& linear, int64_t chunk, const T* x, const T* dz,
                             int64_t rows) {
  const int64_t columns = linear.weight_stride;
  T* weight = s.chunk_gradient(chunk, linear.weight);
  if (rows == 0) {
    fill_zero(weight, linear.segments * linear.inputs * columns);
  } else {
    for (int64_t segment = 0; segment < linear.segments; ++segment) {
      multiply_weight(s, linear, segment, x + segment * linear.segment_stride, linear.transposed_stride(), dz, 0,
                      columns, rows, weight);
    }
  }
  if (linear.bias >= 0) sum_rows<T>(dz, columns, columns, rows, s.chunk_gradient(chunk, linear.bias));
}

// finish(row, column, value): the vectors of the gradient of x, dz @ weight.
template <class T, class Finish>
inline void input_gradient(const StepState<T>& s, const LinearLayout& linear, const T* dz, int64_t rows,
                           const Finish& finish) {
  const int64_t columns = linear.transposed_stride();
  const LeftRows<T> left{dz, linear.weight_stride, 1, 0, linear.outputs};
  multiply<T>(left, rows, s.transposed.data() + linear.transposed, columns, columns,
              [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                for (int v = 0; v < decltype(nv)::value; ++v) finish(r, column + v * kWidth<T>, sums[v]);
              });
}

// The gradient before the tanh of `level`, whose rows are the linear's input as they lie.
template <class T>
inline void gradient_before_tanh(const StepState<T>& s, const LinearLayout& linear, int64_t level, const T* dz,
                                 const RowRange& range) {
  const int64_t columns = s.stride(level);
  const T* y = s.levels[level].y.data() + range.first * columns;
  T* target = s.levels[level].dz.data() + range.first * columns;
  input_gradient(s, linear, dz, range.count(), [=](int64_t r, int64_t column, Vec<T> dy) {
    const Vec<T> value = load(y + r * columns + column);
    store(target + r * columns + column, dy * (1 - value * value));
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
