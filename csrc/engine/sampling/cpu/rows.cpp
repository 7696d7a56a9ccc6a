// From logits, or from probabilities, to rows of thresholds; in float64.
#include "engine/sampling/cpu/functions.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

namespace {

// exp(x) for x <= 0, within a few ulp: 2^k (1 + p) with k ln 2 + r = x and p = exp(r) - 1, as in tanh.h. Below -708,
// where results would be subnormal, 0: no threshold can tell.
inline Vec<double> exp_negative(Vec<double> x) {
  using Bits = BitsOf<double>;
  const Vec<double> lowest = broadcast(-708.0);
  const Vec<double> bounded = x < lowest ? lowest : x;
  const Vec<double> shift = broadcast(6755399441055744.0);
  const Vec<double> shifted = bounded * 1.4426950408889634 + shift;
  const Vec<double> k = shifted - shift;
  const Vec<double> r = (bounded - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
  const Vec<double> p = r + r * r * expm1_remainder(r);
  const Vec<double> power = (Vec<double>)(((Bits::type)shifted << Bits::kMantissa) + Bits::kOne);
  return x < lowest ? Vec<double>{} : power + power * p;
}

// Whether x[j] is among the k largest of x[first...]: fewer than k are larger, or equal and before it.
inline bool is_among_largest(const double* x, int64_t first, int64_t count, int64_t j, int64_t k) {
  int64_t before = 0;
  for (int64_t i = first; i < count; ++i) before += (x[i] > x[j]) | ((x[i] == x[j]) & (i < j));
  return before < k;
}

// One row: thresholds ceil(c_j / total * 2^32) of the cumulative weights c_j, whose last is the total.
inline void write_row(const double* cumulative, double total, int64_t vocab, const sampling::Rows& rows, int64_t row) {
  uint32_t* thresholds = rows.thresholds + row * rows.width;
  const int64_t stored = smaller(vocab, rows.width);
  int64_t passed_by_largest = 0;
  for (int64_t j = 0; j < vocab; ++j) {
    const double scaled = cumulative[j] / total * 4294967296.0;
    int64_t threshold = static_cast<int64_t>(scaled);
    threshold += static_cast<double>(threshold) < scaled;
    passed_by_largest += threshold <= int64_t{sampling::kLargestWord};
    if (j < stored) thresholds[j] = static_cast<uint32_t>(smaller(threshold, sampling::kLargestWord));
  }
  for (int64_t j = stored; j < rows.width; ++j) thresholds[j] = sampling::kLargestWord;
  rows.last[row] = static_cast<int32_t>(passed_by_largest);
}

}  // namespace

void cumulative_to_rows(const sampling::Cumulative& p) {
  for (int64_t i = 0; i < p.count; ++i) {
    write_row(p.cumulative + i * p.vocab, 1.0, p.vocab, p.rows, p.first_row + i);
  }
}

bool softmax(const sampling::Softmax& p) {
  constexpr int kLanes = kWidth<double>;
  const int64_t first = p.without_end ? 1 : 0;
  double* x = p.scratch;
  double* weight = p.scratch + sampling::padded(p.vocab);
  for (int64_t i = 0; i < p.count; ++i) {
    const float* logits = p.logits + i * p.stride;
    double largest = -__builtin_inf();
    bool finite = true;
    for (int64_t j = 0; j < p.vocab; ++j) {
      x[j] = logits[j];
      finite &= __builtin_isfinite(logits[j]) != 0;
      if (j >= first && x[j] > largest) largest = x[j];
    }
    if (!finite) return false;
    for (int64_t j = 0; j < p.vocab; ++j) {
      const bool kept = j >= first && (p.top_k >= p.vocab || is_among_largest(x, first, p.vocab, j, p.top_k));
      weight[j] = kept ? (x[j] - largest) / p.temperature : -__builtin_inf();
    }
    for (int64_t j = 0; j < p.vocab; j += kLanes) {
      const int64_t n = smaller(kLanes, p.vocab - j);
      store_first(weight + j, exp_negative(load_first(weight + j, n)), n);
    }
    double total = 0;
    for (int64_t j = 0; j < p.vocab; ++j) {
      total += weight[j];
      weight[j] = total;  // cumulative from here on
    }
    write_row(weight, total, p.vocab, p.rows, p.row[i]);
  }
  return true;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
