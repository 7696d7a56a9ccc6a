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

template <class T>
inline void update_sgd(const Optimizer& o, const UpdatePiece<T>& piece, T learning_rate, int64_t updates) {
  for (int64_t i = 0; i < piece.count; i += kWidth<T>) {
    update_sgd_at<T>(o, piece.value + i, piece.first_state + i, load(piece.gradient + i), learning_rate, updates);
  }
}

template <class T>
inline void update_adamw(const Optimizer& o, const UpdatePiece<T>& piece, double learning_rate, int64_t updates) {
  const double correction1 = 1 - __builtin_pow(o.beta1, double(updates + 1));
  const double correction2 = 1 - __builtin_pow(o.beta2, double(updates + 1));
  const T keep = T(1 - learning_rate * o.weight_decay), beta2 = T(o.beta2);
  const T rate = T(learning_rate / correction1), root = T(__builtin_sqrt(correction2)), eps = T(o.eps);
  const T rest1 = T(1 - o.beta1), rest2 = T(1 - o.beta2);
  for (int64_t i = 0; i < piece.count; i += kWidth<T>) {
    const Vec<T> g = load(piece.gradient + i);
    const Vec<T> old = load(piece.first_state + i);
    const Vec<T> mean = old + (g - old) * rest1;
    const Vec<T> square = load(piece.second_state + i) * beta2 + g * g * rest2;
    store(piece.first_state + i, mean);
    store(piece.second_state + i, square);
    const Vec<T> step = mean * rate / (square_roots(square) / root + eps);
    store(piece.value + i, load(piece.value + i) * keep - step);
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
