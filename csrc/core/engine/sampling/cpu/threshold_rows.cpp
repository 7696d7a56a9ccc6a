// From logits, or from cumulative probabilities, to rows of thresholds. All of it is in float64.
#include "engine/sampling/cpu/sampling_kernel_table.h"
#include "kernels/cpu/exp.h"

namespace namegen::cpu::NAMEGEN_ISA {

namespace {

// Sets all but the k largest of x to -inf. Of equal ones, the first stay.
inline void keep_largest(double* x, int64_t count, int64_t k, double* copy) {
  for (int64_t j = 0; j < count; ++j) copy[j] = x[j];
  for (int64_t j = 0; j < count; ++j) {
    int64_t before = 0;
    for (int64_t i = 0; i < count; ++i) before += (copy[i] > copy[j]) | ((copy[i] == copy[j]) & (i < j));
    if (before >= k) x[j] = -__builtin_inf();
  }
}

// Writes one row: thresholds ceil(c_j * 2^32 / total) of the cumulative weights c_j, whose last is the total. However
// the product of the total is rounded, its threshold is at least 2^32, which no word passes.
inline void write_row(const double* cumulative, double total, int64_t vocab, const sampling::Rows& rows, int64_t row) {
  const double scale = 4294967296.0 / total;
  uint32_t* thresholds = rows.thresholds + row * rows.width;
  const int64_t stored = smaller(vocab, rows.width);
  int64_t passed_by_largest = 0;
  for (int64_t j = 0; j < vocab; ++j) {
    const double scaled = cumulative[j] * scale;
    int64_t threshold = static_cast<int64_t>(scaled);
    threshold += static_cast<double>(threshold) < scaled;
    passed_by_largest += threshold <= int64_t{sampling::kLargestWord};
    if (j < stored) thresholds[j] = static_cast<uint32_t>(smaller(threshold, sampling::kLargestWord));
  }
  for (int64_t j = stored; j < rows.width; ++j) thresholds[j] = sampling::kLargestWord;
  rows.last[row] = static_cast<int32_t>(passed_by_largest);
}

// Copies a row of logits, which is padded with zeros to whole vectors. Returns whether all are finite.
template <class T>
inline bool copy_finite(const T* logits, int64_t count, double* x) {
  Vec<T> sum = {};  // of logit - logit: 0, or NaN
  for (int64_t j = 0; j < count; j += kWidth<T>) sum += load(logits + j) - load(logits + j);
  for (int64_t j = 0; j < count; ++j) x[j] = logits[j];
  return sum_lanes<T>(sum) == 0;
}

// Copies row i of a call's logits.
template <class Parameters>
inline bool copy_row_of(const Parameters& p, int64_t i, double* x) {
  return p.wide_logits != nullptr ? copy_finite(p.wide_logits + i * p.stride, p.vocab, x)
                                  : copy_finite(p.logits + i * p.stride, p.vocab, x);
}

inline double largest_of(const double* x, int64_t end) {
  constexpr int kLanes = kWidth<double>;
  Vec<double> largest = load(x);
  for (int64_t j = kLanes; j < end; j += kLanes) {
    const Vec<double> next = load(x + j);
    largest = largest < next ? next : largest;
  }
  double result = largest[0];
  for (int lane = 1; lane < kLanes; ++lane) result = result < largest[lane] ? largest[lane] : result;
  return result;
}

// One row of logits after another, in the scratch memory of a call.
template <class Parameters>
class ScratchRows {
 public:
  explicit ScratchRows(const Parameters& call)
      : p(call), x(call.scratch), second(call.scratch + sampling::padded(call.vocab)) {
    for (int64_t j = p.vocab; j < end(); ++j) x[j] = -__builtin_inf();  // since whole vectors are read
  }

  int64_t end() const { return ceil_div(p.vocab, int64_t{kWidth<double>}) * kWidth<double>; }

  // Reads row i. Symbols that take no part get -inf. Returns false where a logit is not finite.
  bool read(int64_t i) {
    if (!copy_row_of(p, i, x)) return false;
    if (p.without_end) x[0] = -__builtin_inf();
    largest = largest_of(x, end());
    if (p.top_k < p.vocab) keep_largest(x, p.vocab, p.top_k, second);
    return true;
  }

  // (logit - largest) / temperature of the symbols from j on.
  Vec<double> scaled(int64_t j) const {
    const Vec<double> below = load(x + j) - largest;
    return p.temperature == 1 ? below : below / p.temperature;
  }

  const Parameters& p;
  double* const x;
  double* const second;  // as many numbers as x; read overwrites them
  double largest = 0;
};

// Calls write(i, weight) for each row of logits, with the weights exp((logit - largest) / temperature) of its symbols;
// 0 for those that take no part. Returns false, and stops, where a logit is not finite.
template <class Parameters, class Write>
bool for_each_row(const Parameters& p, const Write& write) {
  ScratchRows<Parameters> row(p);
  const int64_t end = row.end();
  for (int64_t i = 0; i < p.count; ++i) {
    if (!row.read(i)) return false;
    for (int64_t j = 0; j < end; j += kWidth<double>) store(row.second + j, exp(row.scaled(j)));
    write(i, row.second);
  }
  return true;
}

}  // namespace

void cumulative_to_rows(const sampling::Cumulative& p) {
  for (int64_t i = 0; i < p.count; ++i) {
    write_row(p.cumulative + i * p.vocab, 1.0, p.vocab, p.rows, p.first_row + i);
  }
}

bool log_totals(const sampling::LogTotals& p) {
  ScratchRows<sampling::LogTotals> row(p);
  const int64_t end = row.end();
  for (int64_t i = 0; i < p.count; ++i) {
    if (!row.read(i)) return false;
    float* shaped = p.shaped + p.row[i] * p.stride;
    Vec<double> sum = {};
    for (int64_t j = 0; j < end; j += kWidth<double>) {
      const Vec<double> scaled = row.scaled(j);
      store(row.x + j, scaled);
      sum += exp(scaled);
    }
    for (int64_t j = 0; j < p.vocab; ++j) shaped[j] = static_cast<float>(row.x[j]);
    p.total[p.row[i]] = sum_lanes<double>(sum);
  }
  return true;
}

bool softmax(const sampling::Softmax& p) {
  return for_each_row(p, [&](int64_t i, double* weight) {
    double total = 0;
    for (int64_t j = 0; j < p.vocab; ++j) {
      total += weight[j];
      weight[j] = total;  // cumulative from here on
    }
    write_row(weight, total, p.vocab, p.rows, p.row[i]);
  });
}

bool probabilities(const sampling::Probabilities& p) {
  return for_each_row(p, [&](int64_t i, const double* weight) {
    double total = 0;
    for (int64_t j = 0; j < p.vocab; ++j) total += weight[j];
    for (int64_t j = 0; j < p.vocab; ++j) p.output[i * p.vocab + j] = weight[j] / total;
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
