// What stands between the two linears of a layer's network: each activation with its derivative.
//
//     gelu (kernels/cpu/gelu.h);    relu(x) = max(x, 0)
//     gelu-tanh(x) = x * s  with  s = (1 + tanh(u)) / 2,  u = sqrt(2 / pi) * (x + 0.044715 x^3)
//     its derivative: s + x * 2 s (1 - s) * u',  u' = sqrt(2 / pi) * (1 + 3 * 0.044715 x^2)
#pragma once

#include "engine/gpt/gpt_engine.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/gelu.h"

namespace namegen::cpu::NAMEGEN_ISA {

using engine::GptActivation;

// 1 + tanh(u) loses all digits where tanh(u) is near -1. So s is 1 / (1 + exp(-2u)), which keeps them.
template <class T>
inline ValueAndSlope<T> gelu_tanh_with_slope(Vec<T> x) {
  constexpr T kRoot = T(0.7978845608028653559), kCube = T(0.044715);
  // Beyond 100 s is 0 or 1 for good, and no power of x may be infinite. A NaN passes.
  const Vec<T> limit = broadcast(T(100)), near = -lesser(limit, -lesser(limit, x));
  const Vec<T> square = near * near;
  const Vec<T> u = near * (square * kCube + T(1)) * kRoot;
  // With e = exp(-2|u|), s is 1 / (1 + e) for u >= 0 and e / (1 + e) below.
  const Vec<T> e = exp(u < Vec<T>{} ? u + u : -(u + u));
  const Vec<T> inverse = T(1) / (e + T(1));
  const Vec<T> s = u < Vec<T>{} ? e * inverse : inverse;
  const Vec<T> slope_of_s = e * inverse * inverse * T(2) * kRoot * (square * (3 * kCube) + T(1));
  return {x * s, s + near * slope_of_s};
}

template <class T>
inline ValueAndSlope<T> relu_with_slope(Vec<T> x) {
  const Vec<T> zero = {}, one = broadcast(T(1));
  // A NaN passes, as in torch.
  return {x <= zero ? zero : x, x > zero ? one : zero};
}

// Calls body with the activation, as a function of one vector.
template <class T, class Body>
inline void with_activation(GptActivation activation, const Body& body) {
  switch (activation) {
    case GptActivation::kGelu:
      return body([](Vec<T> x) { return gelu_with_slope<T>(x); });
    case GptActivation::kGeluTanh:
      return body([](Vec<T> x) { return gelu_tanh_with_slope<T>(x); });
    case GptActivation::kRelu:
      return body([](Vec<T> x) { return relu_with_slope<T>(x); });
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
