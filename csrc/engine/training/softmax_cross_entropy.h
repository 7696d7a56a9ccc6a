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

inline float log(float x) { return __builtin_logf(x); }
inline double log(double x) { return __builtin_log(x); }

// The largest lane; NaN where a lane is NaN and none after it is larger.
template <class T>
inline T largest_lane(Vec<T> v) {
  alignas(kVectorBytes) T lanes[kWidth<T>];
  store(lanes, v);
#pragma GCC unroll 8
  for (int half = kWidth<T> / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < half; ++i) lanes[i] = lanes[i] < lanes[i + half] ? lanes[i + half] : lanes[i];
  }
  return lanes[0];
}

// One row: logits[0 ... vocab) become (softmax - onehot(target)) * scale, what is beyond becomes 0. Returns the loss in
// nats. A row that holds NaN or +infinity gives NaN.
template <class T>
inline T softmax_cross_entropy_row(T* logits, int64_t vocab, int64_t target, T scale) {
  constexpr int64_t kW = kWidth<T>;
  const int64_t whole = vocab / kW * kW, rest = vocab - whole;
  const Vec<T> lowest = broadcast(-__builtin_inf() < 0 ? T(-__builtin_inf()) : T(0));
  Vec<T> most = lowest;
  // The lanes beyond the vocabulary count as -infinity: exp makes 0 of them.
  if (rest > 0) {
    Vec<T> last = load(logits + whole);
    for (int i = 0; i < kW; ++i) last[i] = i < rest ? last[i] : lowest[0];
    store(logits + whole, last);
  }
  const int64_t end = whole + (rest > 0 ? kW : 0);
  for (int64_t v = 0; v < end; v += kW) {
    const Vec<T> x = load(logits + v);
    most = x > most ? x : most;
  }
  const T top = largest_lane<T>(most), wanted = logits[target] - top;
  Vec<T> sums = {};
  for (int64_t v = 0; v < end; v += kW) {
    const Vec<T> e = exp(load(logits + v) - top);
    sums += e;
    store(logits + v, e);
  }
  const T sum = sum_lanes<T>(sums), factor = scale / sum;
  for (int64_t v = 0; v < end; v += kW) store(logits + v, load(logits + v) * factor);
  logits[target] -= scale;
  return log(sum) - wanted;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
