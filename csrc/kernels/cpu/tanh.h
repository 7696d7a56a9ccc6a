// Hyperbolic tangent of vectors. Coefficients: python/fit_tanh.py.
//
// float32 is within 2 ulp of the exact value for every input (measured over all 2^32: tests/cpp/test_tanh.cpp), never
// exceeds 1, keeps -0 and NaN, and costs about a quarter of a correctly rounded library tanh.
// float64 is within 3 ulp (measured on samples of every binade).
#pragma once

#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

// a / b for 1 <= b < 200, within 1 ulp.
inline Vec<float> divide(Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
  // An estimate of 14 bits and two Newton steps: 7 instructions against the 16 cycles for which a 512-bit division
  // holds its unit.
  Vec<float> reciprocal = (Vec<float>)_mm512_rcp14_ps((__m512)b);
  reciprocal += reciprocal * (1.0f - b * reciprocal);
  reciprocal += reciprocal * (1.0f - b * reciprocal);
  return a * reciprocal;
#else
  return a / b;
#endif
}

inline Vec<float> tanh(Vec<float> x) {
  // From 9.011 on the nearest float is 1. A NaN passes.
  x = greater(broadcast(-9.02f), lesser(broadcast(9.02f), x));
  const Vec<float> t = x * x;
  Vec<float> p = broadcast(-8.436019589e-14f);
  p = p * t + 5.257766142e-11f;
  p = p * t + -2.018393503e-8f;
  p = p * t + 1.114424651e-5f;
  p = p * t + 0.003103000342f;
  p = p * t + 0.1308315595f;
  p = p * t + 1.0f;
  Vec<float> q = broadcast(0.0002544749772f);
  q = q * t + 0.02449137694f;
  q = q * t + 0.4641648291f;
  q = q * t + 1.0f;
  return divide(x * p, q);
}

typedef int64_t Int64Vec __attribute__((vector_size(kVectorBytes)));

// e^z for 0 <= z <= 50.
inline Vec<double> exp_positive(Vec<double> z) {
  // z = k ln 2 + r with |r| <= ln(2)/2. Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
  const Vec<double> shifter = broadcast(6755399441055744.0);
  const Vec<double> shifted = z * 1.4426950408889634 + shifter;
  const Vec<double> k = shifted - shifter;
  const Vec<double> r = (z - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
  // The Taylor series to r^13: its first omitted term is below 2^-57.
  Vec<double> e = broadcast(1.0 / 6227020800.0);
  e = e * r + 1.0 / 479001600.0;
  e = e * r + 1.0 / 39916800.0;
  e = e * r + 1.0 / 3628800.0;
  e = e * r + 1.0 / 362880.0;
  e = e * r + 1.0 / 40320.0;
  e = e * r + 1.0 / 5040.0;
  e = e * r + 1.0 / 720.0;
  e = e * r + 1.0 / 120.0;
  e = e * r + 1.0 / 24.0;
  e = e * r + 1.0 / 6.0;
  e = e * r + 0.5;
  e = e * r + 1.0;
  e = e * r + 1.0;
  return (Vec<double>)((Int64Vec)e + ((Int64Vec)shifted << 52));  // times 2^k: k added to the exponent
}

inline Vec<double> tanh(Vec<double> x) {
  const Int64Vec sign = (Int64Vec)x & (Int64Vec)broadcast(-0.0);
  const Vec<double> limit = broadcast(20.0);  // tanh(20) rounds to 1
  Vec<double> a = (Vec<double>)((Int64Vec)x ^ sign);
  a = a > limit ? limit : a;
  const Vec<double> t = a * a;
  Vec<double> p = broadcast(7.348726589091382656e-6);
  p = p * t + 0.002791793475509592631;
  p = p * t + 0.1281564067252012012;
  p = p * t + 1.0;
  Vec<double> q = broadcast(0.0002064285186189305567);
  q = q * t + 0.02328837349503702639;
  q = q * t + 0.4614897400585343931;
  q = q * t + 1.0;
  const Vec<double> small = a * p / q;
  const Vec<double> large = 1.0 - 2.0 / (exp_positive(a + a) + 1.0);
  const Vec<double> y = a < broadcast(0.625) ? small : large;
  return (Vec<double>)((Int64Vec)y | sign);
}

}  // namespace namegen::cpu::NAMEGEN_ISA
