// The natural logarithm of vectors of float32, for numbers of at least 0: 0 gives a number that the caller chooses.
#pragma once

#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

// x = 2^k m with m in [sqrt(1/2), sqrt(2)), and log m = 2 artanh(s) with s = (m - 1) / (m + 1), |s| < 0.1716, by its
// series to s^9. tests/cpp/test_sampling_kernels.cpp holds the bound.
inline Vec<float> log(Vec<float> x, float of_zero) {
  typedef int32_t Signed __attribute__((vector_size(kVectorBytes)));
  constexpr float kSmallestNormal = 1.17549435e-38f, kScale = 4294967296.0f;  // 2^32
  const Vec<float> normal = x < kSmallestNormal ? x * kScale : x;
  const Signed bits = (Signed)normal - 0x3f3504f3;  // the bits of sqrt(1/2)
  const Signed k = bits >> 23;
  const Vec<float> m = (Vec<float>)((Signed)normal - (k << 23));
  const Vec<float> s = (m - 1.0f) / (m + 1.0f);
  const Vec<float> square = s * s;
  const Vec<float> series = (((square * (2.0f / 9) + 2.0f / 7) * square + 0.4f) * square + 2.0f / 3) * square;
  const Vec<float> power =
      __builtin_convertvector(k, Vec<float>) - (x < kSmallestNormal ? broadcast(32.0f) : Vec<float>{});
  // log 2 in two parts, the first of which times k is exact.
  const Vec<float> result = power * 0.693145751953125f + (power * 1.42860682030941723212e-6f + (s * series + (s + s)));
  return x > 0.0f ? result : broadcast(of_zero);
}

}  // namespace namegen::cpu::NAMEGEN_ISA
