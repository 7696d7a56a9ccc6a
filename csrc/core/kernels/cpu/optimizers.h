// The updates of torch.optim.SGD and torch.optim.AdamW on arrays of whole vectors.
#pragma once

#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The arrays of one piece of the parameters. States that the optimizer does not have are null.
template <class T>
struct UpdatePiece {
  T* value;
  T* first_state;
  T* second_state;
  const T* gradient;
  int64_t count;
};

// The factor by which gradients of a global norm are multiplied. As in torch.nn.utils.clip_grad_norm_, 1e-6 keeps a
// norm of 0 from being divided by. A norm that is no number scales nothing.
inline double clip_factor(double most_norm, double norm) {
  const double factor = most_norm / (norm + 1e-6);
  return factor < 1 ? factor : 1;
}

// The sum of the squares of `rows` rows of `columns` values, `stride` apart.
template <class T>
inline double sum_of_squares(const T* values, int64_t rows, int64_t columns, int64_t stride) {
  const int64_t whole = columns / kWidth<T> * kWidth<T>;
  double total = 0;
  for (int64_t r = 0; r < rows; ++r, values += stride) {
    Vec<T> sum = {};
    for (int64_t c = 0; c < whole; c += kWidth<T>) sum += load(values + c) * load(values + c);
    if (whole < columns) {
      const Vec<T> last = load_first(values + whole, columns - whole);
      sum += last * last;
    }
    total += double(sum_lanes<T>(sum));
  }
  return total;
}

// Moves the average of `count` values by a share of what they differ from it.
template <class T>
inline void update_average(T* average, const T* value, int64_t count, T share) {
  for (int64_t i = 0; i < count; i += kWidth<T>) {
    const Vec<T> old = load(average + i);
    store(average + i, old + (load(value + i) - old) * share);
  }
}

// The SGD update of one vector of parameters, and of its momentum where there is one. `updates` is the number of
// updates made before this one.
template <class T>
inline void update_sgd_at(const Optimizer& o, T* value_at, T* momentum_at, Vec<T> g, T learning_rate, int64_t updates) {
  const Vec<T> value = load(value_at);
  if (o.weight_decay != 0) g += value * T(o.weight_decay);
  if (o.momentum != 0) {
    const Vec<T> buffer = updates == 0 ? g : load(momentum_at) * T(o.momentum) + g;
    store(momentum_at, buffer);
    g = o.nesterov ? g + buffer * T(o.momentum) : buffer;
  }
  store(value_at, value - g * learning_rate);
}

// The gradients count `scale` times. A scale of 1 changes no bit.
template <class T>
inline void update_sgd(const Optimizer& o, const UpdatePiece<T>& piece, T learning_rate, int64_t updates, T scale) {
  for (int64_t i = 0; i < piece.count; i += kWidth<T>) {
    update_sgd_at<T>(o, piece.value + i, piece.first_state + i, load(piece.gradient + i) * scale, learning_rate,
                     updates);
  }
}

// mean / (the root of square + eps): AdamW's step.
inline Vec<double> over_root(Vec<double> mean, Vec<double> square, double eps) {
  return mean / (square_roots(square) + eps);
}
inline Vec<float> over_root(Vec<float> mean, Vec<float> square, float eps) {
#if defined(__AVX512F__)
  // The estimate of the reciprocal is good to 14 bits. One step corrects the quotient by what it leaves of the mean,
  // which makes 28 bits. The divider is then free for the root. Measured: 0.67 us with two divisions, as torch has
  // them, 0.47 us with one, 0.39 us with the estimate, 0.57 us with an estimate of the root too (4,192 parameters, Zen
  // 5).
  const Vec<float> divisor = square_roots(square) + eps;
  const Vec<float> reciprocal = (Vec<float>)_mm512_rcp14_ps((__m512)divisor);
  const Vec<float> quotient = mean * reciprocal;
  // By an infinite divisor the quotient is 0, and nothing is left to correct.
  return reciprocal == 0.0f ? quotient : quotient + (mean - quotient * divisor) * reciprocal;
#else
  return mean / (square_roots(square) + eps);
#endif
}

// What one update of all parameters has in common. Powers take longer than the update of a small model's vectors, so
// they are taken once.
struct UpdateStep {
  double learning_rate;
  int64_t updates;                  // made before this one
  double scale;                     // of the gradients; 1 changes no bit
  double correction1, correction2;  // AdamW: 1 - beta^(updates + 1)

  UpdateStep(const Optimizer& o, double rate, int64_t updates_before, double gradient_scale)
      : learning_rate(rate), updates(updates_before), scale(gradient_scale), correction1(1), correction2(1) {
    if (o.kind != OptimizerKind::kAdamW) return;
    correction1 = 1 - __builtin_pow(o.beta1, double(updates + 1));
    correction2 = 1 - __builtin_pow(o.beta2, double(updates + 1));
  }
};

template <class T>
inline void update_adamw(const Optimizer& o, const UpdatePiece<T>& piece, const UpdateStep& step) {
  const T keep = T(1 - step.learning_rate * o.weight_decay), beta2 = T(o.beta2), scale = T(step.scale);
  // m * r / (sqrt(v) / root + eps) = m * (r * root) / (sqrt(v) + eps * root), with one division.
  const double root = __builtin_sqrt(step.correction2);
  const T rate = T(step.learning_rate / step.correction1 * root), eps = T(o.eps * root);
  const T rest1 = T(1 - o.beta1), rest2 = T(1 - o.beta2);
  for (int64_t i = 0; i < piece.count; i += kWidth<T>) {
    const Vec<T> g = load(piece.gradient + i) * scale;
    const Vec<T> old = load(piece.first_state + i);
    const Vec<T> mean = old + (g - old) * rest1;
    const Vec<T> square = load(piece.second_state + i) * beta2 + g * g * rest2;
    store(piece.first_state + i, mean);
    store(piece.second_state + i, square);
    store(piece.value + i, load(piece.value + i) * keep - over_root(mean, square, eps) * rate);
  }
}

// The update by either optimizer.
template <class T>
inline void update_values(const Optimizer& o, const UpdatePiece<T>& piece, const UpdateStep& step) {
  if (o.kind == OptimizerKind::kAdamW) {
    update_adamw<T>(o, piece, step);
  } else {
    update_sgd<T>(o, piece, T(step.learning_rate), step.updates, T(step.scale));
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
