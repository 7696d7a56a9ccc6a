// Softmax cross-entropy of rows of logits. The gradients take the place of the logits.
#pragma once

#include "kernels/cpu/exp.h"

namespace namegen::cpu::NAMEGEN_ISA {

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

// What was subtracted from a row of logits before the exponentials were taken, and the sum of these.
template <class T>
struct Exponentials {
  T top;
  T sum;
};

// Replaces logits[0 ... vocab] of one row by exp(logit - top), where top is the largest. Values beyond become 0, or NaN
// where top is NaN or infinite.
template <class T>
inline Exponentials<T> take_exponentials(T* logits, int64_t vocab) {
  constexpr int64_t kW = kWidth<T>;
  const T infinity = T(__builtin_inf());
  const int64_t vectors = ceil_div(vocab, kW), last = vocab - (vectors - 1) * kW;
  // Lanes beyond the vocabulary count as -infinity, of which exp makes 0.
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
  Vec<T> sums = {};
  for (int64_t v = 0; v < vectors; ++v) {
    const Vec<T> e = exp(read(v) - top);
    sums += e;
    store(logits + v * kW, e);
  }
  return {top[0], sum_lanes<T>(sums)};
}

// The sum of the logarithms of numbers from 1 to 1e100. It takes one logarithm of the product of many of them.
class SumOfLogs {
 public:
  void add(double x) {
    product_ *= x;
    if (!(product_ < 1e200)) {  // or it is NaN, and stays so
      logs_ += __builtin_log(product_);
      product_ = 1;
    }
  }
  double value() const { return logs_ + __builtin_log(product_); }

 private:
  double logs_ = 0;
  double product_ = 1;
};

// The row of a context that `count` examples share. logits[0 ... vocab] become the sum over the examples' targets of
// (softmax - onehot(target)) * scale, and values beyond become 0 (or NaN, as above). The loss in nats is the sum of the
// logarithms, which goes to `logs`, and the rest, which is returned. A row that holds NaN or +infinity makes one of the
// two NaN.
template <class T, class TargetOf>
inline double softmax_cross_entropy_row(T* logits, int64_t vocab, int64_t count, const TargetOf& target_of, T scale,
                                        SumOfLogs& logs) {
  double wanted = 0;
  for (int64_t i = 0; i < count; ++i) wanted += double(logits[target_of(i)]);
  const Exponentials<T> row = take_exponentials(logits, vocab);
  const T factor = scale * T(count) / row.sum;
  for (int64_t v = 0; v < vocab; v += kWidth<T>) store(logits + v, load(logits + v) * factor);
  for (int64_t i = 0; i < count; ++i) {
    logits[target_of(i)] -= scale;
    logs.add(double(row.sum));
  }
  return double(count) * double(row.top) - wanted;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
