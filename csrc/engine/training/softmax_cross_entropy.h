// Softmax cross-entropy of rows of logits, and its gradient in their place.
#pragma once

#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

// exp(x) for x <= 0, within 2 ulp; 0 below the smallest normal number. A NaN passes.
template <class T>
inline Vec<T> exp_of(Vec<T> x, T lowest, T shift, T ln2_high, T ln2_low) {
  using Bits = typename BitsOf<T>::type;
  const Vec<T> a = x < lowest ? broadcast(lowest) : x;
  // a = k ln 2 + r, as in tanh.
  const Vec<T> shifted = a * T(1.4426950408889634) + shift;
  const Vec<T> k = shifted - shift;
  const Vec<T> r = (a - k * ln2_high) - k * ln2_low;
  const Vec<T> p = r + r * r * expm1_remainder(r);                                           // exp(r) - 1
  const Vec<T> power = (Vec<T>)(((Bits)shifted << BitsOf<T>::kMantissa) + BitsOf<T>::kOne);  // 2^k
  const Vec<T> e = power * p + power;
  return x < lowest ? Vec<T>{} : e;
}
inline Vec<float> exp(Vec<float> x) {
  return exp_of(x, -87.0f, 12582912.0f, 0.693145751953125f, 1.42860682030941723212e-6f);
}
inline Vec<double> exp(Vec<double> x) {
  return exp_of(x, -708.0, 6755399441055744.0, 6.93147180369123816490e-01, 1.90821492927058770002e-10);
}

// a in the first n lanes, b in the others.
inline Vec<float> lanes_below(int64_t n, Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_mask_mov_ps((__m512)b, (__mmask16)((1u << n) - 1), (__m512)a);
#else
  for (int i = 0; i < kWidth<float>; ++i) b[i] = i < n ? a[i] : b[i];
  return b;
#endif
}
inline Vec<double> lanes_below(int64_t n, Vec<double> a, Vec<double> b) {
  for (int i = 0; i < kWidth<double>; ++i) b[i] = i < n ? a[i] : b[i];
  return b;
}

inline float log(float x) { return __builtin_logf(x); }
inline double log(double x) { return __builtin_log(x); }

// One row: logits[0 ... vocab] become (softmax - onehot(target)) * scale, what is beyond becomes 0. Returns the loss in
// nats; a row that holds NaN or +infinity gives NaN.
template <class T>
inline T softmax_cross_entropy_row(T* logits, int64_t vocab, int64_t target, T scale) {
  constexpr int64_t kW = kWidth<T>;
  const T infinity = T(__builtin_inf());
  const int64_t vectors = ceil_div(vocab, kW), last = vocab - (vectors - 1) * kW;
  // Lanes beyond the vocabulary count as -infinity: exp makes 0 of them.
  const auto read = [&](int64_t v) {
    const Vec<T> x = load(logits + v * kW);
    return v < vectors - 1 ? x : lanes_below(last, x, broadcast(-infinity));
  };
  Vec<T> most = read(0);
  for (int64_t v = 1; v < vectors; ++v) {
    const Vec<T> x = read(v);
    most = x > most ? x : most;
  }
  const Vec<T> top = combine_lanes<T>(most, [](Vec<T> a, Vec<T> b) { return a > b ? a : b; });
  const T wanted = logits[target] - top[0];
  Vec<T> sums = {};
  for (int64_t v = 0; v < vectors; ++v) {
    const Vec<T> e = exp(read(v) - top);
    sums += e;
    store(logits + v * kW, e);
  }
  const T sum = sum_lanes<T>(sums), factor = scale / sum;
  for (int64_t v = 0; v < vectors; ++v) store(logits + v * kW, load(logits + v * kW) * factor);
  logits[target] -= scale;
  return log(sum) - wanted;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
