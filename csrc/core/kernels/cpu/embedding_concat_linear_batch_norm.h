// What the forward and the backward kernel of embedding_concat_linear_batch_norm share: how often symbols and pairs of
// symbols occur in a minibatch, and the table of embedding_concat_linear, centred.
//
// With z[n] = sum_t P[t, s(n, t)] and c[t, s] = how often s stands at t, the mean of z over the N examples is
//
//   mean = sum_t mean_t,  mean_t = sum_s c[t, s] P[t, s] / N.
//
// Rows x[t, s] = P[t, s] - mean_t are centred at each position, so that z[n] - mean = sum_t x[t, s(n, t)]. What the
// examples with symbol s at t sum to follows from how often pairs of symbols occur, k[t, s, t', s']:
//
//   X[t, s] = sum over n with s(n, t) = s of (z[n] - mean) = c[t, s] x[t, s] + sum_{t' != t, s'} k[t, s, t', s'] x[t',
//   s'], sum_n (z[n] - mean)^2 = sum_{t, s} x[t, s] X[t, s].
//
// So neither z nor its normalised values are stored. A pair costs H multiply-adds however often it occurs.
#pragma once

#include "kernels/cpu/embedding_concat_linear_table.h"
#include "kernels/cpu/wide.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Up to so many examples z is formed after all, in scratch memory or in the place of y, since the rows of the table are
// as many as the examples. Measured: 23 us with the table, 14 us with z (forward and backward, 32 examples, V=27, E=10,
// block 3, H=200, AVX-512); 58 us with the table, 60 us with z (256 examples).
constexpr int64_t kFewExamples = 256;

// How many examples have each row's symbol.
inline int32_t* count_rows(const SymbolRows& symbols, int64_t batch, Context& context) {
  int32_t* counts = scratch_array<int32_t>(context, symbols.rows());
  fill_zero(counts, symbols.rows());
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t t = 0; t < symbols.block; ++t) ++counts[symbols.row_of[n * symbols.block + t]];
  }
  return counts;
}

// For each row, the rows of other positions that occur together with it, in ascending order, and how often.
// Those of row r stand from begin[r] to begin[r + 1] - 1. from[r] is the first of them that stands after r.
struct RowPairs {
  int32_t* begin = nullptr;  // null: the pairs were not counted, since a walk over the examples is cheaper
  int32_t* from;
  int32_t* other;
  int32_t* times;
};

// Counts the pairs where the examples repeat them so often that this is cheaper than to walk over the examples.
// `columns` is how many values a row has, in vectors; a walk reads `reads` rows for each example.
inline RowPairs count_pairs(const SymbolRows& symbols, int64_t batch, int64_t vectors, int64_t reads,
                            Context& context) {
  const int64_t rows = symbols.rows(), block = symbols.block;
  // Every count is looked at once, so their number must be small beside the work for the examples.
  const double walk = double(batch) * reads * vectors;
  const double counting = 2.0 * double(rows) * rows + double(batch) * block * (block - 1);
  if (counting > walk / 2 || rows > (1 << 10)) return {};
  const Context::Mark before = context.mark();
  RowPairs pairs;
  pairs.begin = scratch_array<int32_t>(context, rows + 1);
  pairs.from = scratch_array<int32_t>(context, rows);
  int32_t* counts = scratch_array<int32_t>(context, rows * rows);
  fill_zero(counts, rows * rows);
  for (int64_t n = 0; n < batch; ++n) {
    const int32_t* row_of = symbols.row_of + n * block;
    for (int64_t t = 0; t < block; ++t) {
      int32_t* of_row = counts + row_of[t] * rows;
      for (int64_t other = t + 1; other < block; ++other) ++of_row[row_of[other]];
    }
  }
  // They are counted once, with the earlier position first; here the others are added.
  int64_t found = 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t other = r + 1; other < rows; ++other) {
      const int32_t times = counts[r * rows + other];
      counts[other * rows + r] = times;
      found += times != 0;
    }
  }
  if (double(found) * 2 * vectors > walk) {
    context.return_to(before);
    return {};
  }
  pairs.other = scratch_array<int32_t>(context, 2 * found);
  pairs.times = scratch_array<int32_t>(context, 2 * found);
  int32_t at = 0;
  for (int64_t r = 0; r < rows; ++r) {
    pairs.begin[r] = at;
    pairs.from[r] = at;
    for (int64_t other = 0; other < rows; ++other) {
      const int32_t times = counts[r * rows + other];
      if (times == 0) continue;
      pairs.other[at] = static_cast<int32_t>(other);
      pairs.times[at] = times;
      ++at;
      if (other < r) pairs.from[r] = at;
    }
  }
  pairs.begin[rows] = at;
  return pairs;
}

// One panel of columns of the table. Row r is at base + r * stride.
template <class T>
struct TablePanel {
  T* base;
  int64_t stride;
  T* row(int64_t r) const { return base + r * stride; }
};

// Centres the rows of each position, so that their sum over the examples is 0. Adds the means to mean[NV].
template <int NV, class T>
inline void centre_panel(const TablePanel<T>& table, const SymbolRows& symbols, const int32_t* counts, int64_t batch,
                         Wide<T>* mean) {
  for (int64_t t = 0; t < symbols.block; ++t) {
    const int64_t first = symbols.base[t], end = symbols.base[t + 1];
    Wide<T> sum[NV] = {};
    for (int64_t r = first; r < end; ++r) {
      const double times = counts[r];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) sum[v] += Wide<T>(load(table.row(r) + v * kWidth<T>)) * times;
    }
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      sum[v] = sum[v] * (1.0 / double(batch));
      mean[v] += sum[v];
    }
    for (int64_t r = first; r < end; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        T* x = table.row(r) + v * kWidth<T>;
        store(x, (Wide<T>(load(x)) - sum[v]).narrowed());
      }
    }
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
