// What the forward and the backward kernel of batch_norm share: how rows are cut into chunks, and columns walked.
#pragma once

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/kernels.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Rows are cut into at most 16 chunks, by their number alone; a chunk's sums are formed in order, and chunks are merged
// in order.
struct Chunks {
  int64_t rows;
  int64_t count() const { return smaller(16, larger(1, rows / 256)); }
  int64_t first(int64_t chunk) const { return rows * chunk / count(); }
};

// Merges, by Chan, Golub and LeVeque (1979), the statistics of `n_b` rows (mean b, squared deviations m_b) into those
// of `n_a` rows.
template <class T>
inline void merge_statistics(T n_a, Vec<T>& mean_a, Vec<T>& m_a, T n_b, Vec<T> mean_b, Vec<T> m_b) {
  const Vec<T> delta = mean_b - mean_a;
  const T share = n_b / (n_a + n_b);
  mean_a += delta * share;
  m_a += m_b + delta * delta * (n_a * share);
}

// How a walk over `arrays` arrays of (rows, channels) that are read, and at most one that is written, goes by blocks of
// rows: all panels of columns pass over a block before the next one is read.
template <class Data>
class Blocks {
 public:
  Blocks(int64_t rows, int64_t channels, int arrays) : channels_(channels) {
    const int64_t row_bytes = channels * int64_t(sizeof(Data));
    if (rows * row_bytes < kFromBytes) return;
    if (arrays > 1) rows_ = larger(1, smaller(kRows, kSetsBytes / row_bytes));
    ahead_ = larger(kAhead / arrays, rows_ > 1 ? rows_ * row_bytes : 0);  // into the next block
  }

  // body(first row, end row, Constant<NV>, column, columns) for rows [first, end).
  template <class Body>
  void walk(int64_t first, int64_t end, const Body& body) const {
    const Panels<Compute<Data>> panels{channels_};
    for (int64_t n = first; n < end; n += rows_) {
      for (int64_t panel = 0; panel < panels.count(); ++panel) {
        with_vectors(panels.vectors(panel),
                     [&](auto nv) { body(n, smaller(n + rows_, end), nv, panels.first(panel), panels.width(panel)); });
      }
    }
  }

  // Asks for the cache lines of `array` that the walk comes to some rows after NV vectors from element `at` on:
  // hardware prefetchers follow four rows at once too slowly. One request a line, between the computations; a block's
  // lines requested all at once would hold those up (forward and backward of 16,384 x 200: 6.7 ms without, 4.9 with a
  // block at once, 3.5 so).
  template <int NV>
  void read_ahead(const void* array, int64_t at) const {
    request<NV>(array, at, [](const char* line) { prefetch(line); });
  }

  // The same where the lines will be written: a store that waits for its line holds up those behind it.
  template <int NV>
  void write_ahead(const void* array, int64_t at) const {
    request<NV>(array, at, [](const char* line) { prefetch_to_write(line); });
  }

 private:
  // Few rows, so that memory is read nearly in the order in which it lies (64 rows: 9.2 ms, 4: 8.3, before anything was
  // read ahead). Not one, so that a channel's constants are loaded once for some rows.
  static constexpr int64_t kRows = 4;
  // Lines that lie this far apart share a set of the L1 cache: with more of each array in a block, those of four arrays
  // drive each other out (backward of 2,048 x 1,024: 2.4 ms with four rows, 1.4 with one).
  static constexpr int64_t kSetsBytes = 4 << 10;
  static constexpr int64_t kAhead = 12 << 10;       // a quarter of the L1 cache
  static constexpr int64_t kFromBytes = 512 << 10;  // less stays in the caches

  template <int NV, class Prefetch>
  void request(const void* array, int64_t at, const Prefetch& prefetch_line) const {
    if (ahead_ == 0) return;
    constexpr int64_t kBytes = NV * kWidth<Compute<Data>> * int64_t(sizeof(Data)), kCacheLine = 64;
    const uintptr_t first = reinterpret_cast<uintptr_t>(array) + at * sizeof(Data) + ahead_;  // maybe beyond its end
#pragma GCC unroll 8
    for (int64_t b = 0; b < kBytes; b += kCacheLine) prefetch_line(reinterpret_cast<const char*>(first + b));
  }

  int64_t channels_, rows_ = kRows, ahead_ = 0;
};

// Lanes in use of vector v of NV vectors that hold `columns` columns.
template <class T, int NV>
inline int64_t lanes_of(int v, int64_t columns) {
  return v < NV - 1 ? kWidth<T> : columns - v * kWidth<T>;
}

// Parameters of the columns from `column` on, or `value` for each where there are none.
template <class T, int NV>
inline void load_columns(const void* parameters, int64_t column, int64_t columns, T value, Vec<T>* result) {
  const T* p = static_cast<const T*>(parameters);
  for (int v = 0; v < NV; ++v) {
    result[v] = p == nullptr ? broadcast(value) : load_first(p + column + v * kWidth<T>, lanes_of<T, NV>(v, columns));
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
