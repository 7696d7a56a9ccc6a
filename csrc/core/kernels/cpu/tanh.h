// Hyperbolic tangent of vectors: tanh(x) = e / (e + 2) with e = exp(2|x|) - 1, the sign put back at the end. Small x
// lose nothing, since e is formed without the 1. For large x errors of e cancel in the quotient.
//
// tests/cpp/test_tanh.cpp holds the bounds and measures them. Measured: within 2.48 ulp with fused multiply-add and
// 2.52 without, never beyond 1, -0 and NaN kept (all 2^32 float32); within 3 ulp (float64, samples of every binade).
//
// A rational function of degree 13 over 6 was tried first. It takes two thirds of the instructions, but is 5 ulp off,
// and returns 1 + 2^-22, which makes the derivative 1 - y^2 negative.
#pragma once

#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Integers of a floating type's size, one vector of them.
template <class T>
struct BitsOf;
template <>
struct BitsOf<float> {
  typedef uint32_t type __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissa = 23;
  static constexpr uint32_t kOne = 127u << kMantissa;  // the bits of 1.0
};
template <>
struct BitsOf<double> {
  typedef uint64_t type __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissa = 52;
  static constexpr uint64_t kOne = uint64_t{1023} << kMantissa;
};

// (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2. Coefficients: python/fit_tanh.py.
// The sum has Estrin's scheme, whose chain of operations is shorter than Horner's. Measured: 3.3 ns a vector with
// Horner's scheme and two more steps in the quotient, 2.7 ns with Estrin's (tanh, Zen 5).
inline Vec<float> expm1_remainder(Vec<float> r) {
  const Vec<float> square = r * r;
  const Vec<float> low = r * 0.1666657667f + 0.5f;
  const Vec<float> high = r * 0.008363232884f + 0.04166655421f;
  return (square * 0.001392625083f + high) * square + low;
}
inline Vec<double> expm1_remainder(Vec<double> r) {
  Vec<double> q = broadcast(2.09147553258932022e-9);
  q = q * r + 2.51053127296221018e-8;
  q = q * r + 2.75572734787185805e-7;
  q = q * r + 2.75572551700008874e-6;
  q = q * r + 0.0000248015873256774619;
  q = q * r + 0.000198412698750022788;
  q = q * r + 0.00138888888888837112;
  q = q * r + 0.00833333333332608312;
  q = q * r + 0.0416666666666666698;
  q = q * r + 0.16666666666666671;
  return q * r + 0.5;
}

// e / (e + 2) for 0 <= e < 2^60.
inline Vec<float> quotient(Vec<float> e) {
  const Vec<float> d = e + 2.0f;
#if defined(__AVX512F__)
  // The estimate is good to 14 bits. One step corrects it by what it leaves of e, which makes 28 bits. A 512-bit
  // division would occupy the unit of an Intel core for 16 cycles. Measured: 2.7 ns a vector with the estimate, 2.2 ns
  // with the division (tanh, Zen 5, which divides in 2.5 cycles).
  const Vec<float> reciprocal = (Vec<float>)_mm512_rcp14_ps((__m512)d);
  // What it leaves is formed without a rounding, by instructions that a build without optimisation has too.
  const Vec<float> y = e * reciprocal;
  const __m512 left = _mm512_fnmadd_ps((__m512)y, (__m512)d, (__m512)e);  // e - y d
  return (Vec<float>)_mm512_fmadd_ps(left, (__m512)reciprocal, (__m512)y);
#else
  return e / d;
#endif
}
inline Vec<double> quotient(Vec<double> e) { return e / (e + 2.0); }

template <class V, class T>
inline V tanh_of(V x, T limit, T shift, T ln2_high, T ln2_low) {
  using Bits = typename BitsOf<T>::type;
  const Bits sign = (Bits)x & (Bits)broadcast(T(-0.0));
  // From `limit` on, the nearest number to tanh(x) is 1. A NaN stays NaN.
  const V a = lesser(broadcast(limit), (V)((Bits)x ^ sign));
  // 2a = k ln 2 + r with |r| <= ln(2)/2. The addition of `shift`, which is 1.5 times 2 to the mantissa's length, rounds
  // to an integer and leaves it in the low bits.
  const V z = a + a;
  const V shifted = z * T(1.4426950408889634) + shift;
  const V k = shifted - shift;
  const V r = (z - k * ln2_high) - k * ln2_low;
  const V p = r + r * r * expm1_remainder(r);                                      // exp(r) - 1
  const V power = (V)(((Bits)shifted << BitsOf<T>::kMantissa) + BitsOf<T>::kOne);  // 2^k
  const V e = power * p + (power - T(1));
  return (V)((Bits)quotient(e) | sign);
}

inline Vec<float> tanh(Vec<float> x) {
  return tanh_of(x, 9.02f, 12582912.0f, 0.693145751953125f, 1.42860682030941723212e-6f);
}
inline Vec<double> tanh(Vec<double> x) {
  return tanh_of(x, 20.0, 6755399441055744.0, 6.93147180369123816490e-01, 1.90821492927058770002e-10);
}

}  // namespace namegen::cpu::NAMEGEN_ISA
