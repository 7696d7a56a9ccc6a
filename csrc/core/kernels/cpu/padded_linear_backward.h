// The way back through a linear layer whose matrices have rows of whole vectors (see padded_products.h). With dz the
// gradient of z = x @ W + b:
//
//   dW = x^T @ dz,  dx = dz @ W^T.
#pragma once

#include "kernels/cpu/optimizers.h"
#include "kernels/cpu/padded_products.h"

namespace namegen::cpu::NAMEGEN_ISA {

// dW to `gradient`, whose rows are `stride` apart.
template <class T>
inline void store_weight_gradient(const TransposedProduct<T>& p, T* gradient, int64_t stride) {
  if (p.count == 0) {
    for (int64_t r = 0; r < p.rows; ++r) fill_zero(gradient + r * stride, p.columns);
    return;
  }
  multiply_transposed(p, gradient, stride, [=](int64_t at, Vec<T> g) { store(gradient + at, g); });
}

// Moves the weight by SGD as soon as each vector of dW is known, so that dW itself goes through no memory. `momentum`
// is null where the optimizer has none; `gradient` holds the sums over the first rows. All three have rows `stride`
// apart. `updates` is the number of updates made before this one.
template <class T>
inline void move_weight_by_sgd(const TransposedProduct<T>& p, const Optimizer& optimizer, T* weight, T* momentum,
                               T* gradient, int64_t stride, T learning_rate, int64_t updates) {
  if (optimizer.momentum == 0 && optimizer.weight_decay == 0) {
    multiply_transposed(p, gradient, stride,
                        [=](int64_t at, Vec<T> g) { store(weight + at, load(weight + at) - g * learning_rate); });
    return;
  }
  multiply_transposed(p, gradient, stride, [&](int64_t at, Vec<T> g) {
    update_sgd_at<T>(optimizer, weight + at, momentum + at, g, learning_rate, updates);
  });
}

// dz of a linear layer and its weight W^T, which lies as (outputs, inputs).
template <class T>
struct InputGradient {
  const T* dz;
  int64_t dz_stride;
  int64_t rows;
  int64_t outputs;
  const T* weight;
  int64_t inputs;  // whole vectors
};

// finish(row, column, Constant<NV>, values): dx.
template <class T, class Finish>
inline void input_gradient(const InputGradient<T>& p, const Finish& finish) {
  multiply<T>({p.dz, p.dz_stride, 1, 0, p.outputs}, p.rows, p.weight, p.inputs, p.inputs, finish);
}

// The same before the tanh that made x: finish(row, column, Constant<NV>, values): dx * (1 - x^2).
template <class T, class Finish>
inline void input_gradient_before_tanh(const InputGradient<T>& p, const T* x, const Finish& finish) {
  const int64_t stride = p.inputs;
  input_gradient(p, [=](int64_t r, int64_t column, auto nv, const Vec<T>* dx) {
    constexpr int NV = decltype(nv)::value;
    Vec<T> gradient[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      const Vec<T> value = load(x + r * stride + column + v * kWidth<T>);
      gradient[v] = dx[v] * (1 - value * value);
    }
    finish(r, column, nv, gradient);
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
