// The exact GELU of vectors, x * Phi(x) with the normal distribution Phi, and its derivative Phi(x) + x * phi(x).
//
// With t = |x| the lower tail is Phi(-t) = exp(-t^2 / 2) * C(t), where C(t) = exp(t^2 / 2) * erfc(t / sqrt(2)) / 2
// falls slowly from 1/2: a ratio of two polynomials with positive coefficients (python/fit_gelu.py). Then
//
//     gelu(x) = max(x, 0) - t * Phi(-t)
//     gelu'(x) = d + 1 for x >= 0, -d for x < 0,  with d = t * phi(t) - Phi(-t) = exp(-t^2 / 2) * (t / sqrt(2 pi) -
//     C(t))
//
// so the tail of negative x keeps all its digits, where x / 2 * (1 + erf(x / sqrt(2))) loses them: that is 17% off at
// -5 in float32. t^2 is taken in two parts, since a rounding of the exponent is one of the result, t^2 / 2 times as
// large.
//
// tests/cpp/test_gelu.cpp holds the bounds: 12.5 ulp for float32 and 24.5 for float64, with their derivation.
// Measured: at most 7.1 ulp (float32), at most 8.9 ulp (float64). From x = -13.19 (float32) and -37.62 (float64)
// downwards the result is -0 or subnormal, where the exact one is below the smallest normal number.
#pragma once

#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

// C(t) for 0 <= t <= 14 (float32, within 6.8e-9) and <= 39 (float64, within 1.2e-18).
inline Vec<float> tail_factor(Vec<float> t) {
  Vec<float> p = t * 0.398947011f + 3.942906758f;
  p = p * t + 17.79311728f;
  p = p * t + 42.58415963f;
  p = p * t + 48.60963496f;
  Vec<float> q = t + 9.884035964f;
  q = q * t + 45.5860602f;
  q = q * t + 116.8224161f;
  q = q * t + 162.7381048f;
  q = q * t + 97.21926968f;
  return p / q;
}
inline Vec<double> tail_factor(Vec<double> t) {
  Vec<double> p = t * 0.3989422804015109116 + 12.38614584809339882;
  p = p * t + 188.860901659377295;
  p = p * t + 1839.366883278461828;
  p = p * t + 12581.57792776414808;
  p = p * t + 62911.99041930105111;
  p = p * t + 232594.2771146600293;
  p = p * t + 628642.7217676054138;
  p = p * t + 1194075.062832831386;
  p = p * t + 1452817.552127144085;
  p = p * t + 876146.2336712037814;
  Vec<double> q = t + 31.04746339658044887;
  q = q * t + 474.4040760667419844;
  q = q * t + 4641.656500766186898;
  q = q * t + 32008.74303478219435;
  q = q * t + 162245.4885831107646;
  q = q * t + 613627.9104968051176;
  q = q * t + 1724560.084624025184;
  q = q * t + 3517711.386848149564;
  q = q * t + 4945909.312686719157;
  q = q * t + 4303762.20995795458;
  q = q * t + 1752292.467342407562;
  return p / q;
}

// The numbers of a type that exp(-t^2 / 2) needs.
template <class T>
struct GaussianNumbers;
template <>
struct GaussianNumbers<float> {
  static constexpr float limit = 14.0f;          // t beyond it counts as this
  static constexpr uint32_t low_bits = 0xfff;    // of t: the others' square is exact
  static constexpr float most_exponent = 87.0f;  // of exp: beyond it, 0
  static constexpr float shift = 12582912.0f, ln2_high = 0.693145751953125f, ln2_low = 1.42860682030941723212e-6f;
};
template <>
struct GaussianNumbers<double> {
  static constexpr double limit = 39.0;
  static constexpr uint64_t low_bits = 0x7ffffff;
  static constexpr double most_exponent = 708.0;
  static constexpr double shift = 6755399441055744.0, ln2_high = 6.93147180369123816490e-01,
                          ln2_low = 1.90821492927058770002e-10;
};

// exp(-t^2 / 2) for 0 <= t <= limit; as exp_of (exp.h), with the exponent in two parts.
template <class T>
inline Vec<T> gaussian(Vec<T> t) {
  using Bits = typename BitsOf<T>::type;
  using Numbers = GaussianNumbers<T>;
  const Vec<T> high = (Vec<T>)((Bits)t & ~(Bits{} + Numbers::low_bits));
  const Vec<T> first = high * high * T(0.5);               // exact
  const Vec<T> second = (t - high) * (t + high) * T(0.5);  // what it leaves of t^2 / 2
  const Vec<T> exponent = first + second;
  const Vec<T> shifted = exponent * T(-1.4426950408889634) + Numbers::shift;
  const Vec<T> k = shifted - Numbers::shift;
  const Vec<T> r = ((-first - k * Numbers::ln2_high) - k * Numbers::ln2_low) - second;
  const Vec<T> p = r + r * r * expm1_remainder(r);                                           // exp(r) - 1
  const Vec<T> power = (Vec<T>)(((Bits)shifted << BitsOf<T>::kMantissa) + BitsOf<T>::kOne);  // 2^k
  return exponent > Numbers::most_exponent ? Vec<T>{} : power * p + power;
}

template <class T>
struct ValueAndSlope {
  Vec<T> value, slope;
};

template <class T>
inline ValueAndSlope<T> gelu_with_slope(Vec<T> x) {
  using Bits = typename BitsOf<T>::type;
  const Vec<T> size = (Vec<T>)((Bits)x & ~(Bits)broadcast(T(-0.0)));
  const Vec<T> t = lesser(broadcast(GaussianNumbers<T>::limit), size);  // a NaN passes
  const Vec<T> factor = tail_factor(t), e = gaussian<T>(t);
  const Vec<T> d = e * (t * T(0.3989422804014326779) - factor);
  const Vec<T> zero = {};
  // From -0 the tail's -0 keeps its sign. (t * factor is near 1 / sqrt(2 pi) in the tail: no product underflows early.)
  return {(x >= zero ? x : broadcast(T(-0.0))) - (t * factor) * e, x < zero ? -d : d + T(1)};
}

template <class T>
inline Vec<T> gelu(Vec<T> x) {
  return gelu_with_slope<T>(x).value;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
