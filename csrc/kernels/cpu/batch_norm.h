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

// Rows that all panels of columns pass over before the next ones are read. Few, so that memory is read nearly in the
// order in which it lies: with panels taken through 64 rows at a time, hardware prefetchers lose the stream (forward
// and backward of 16,384 x 200: 9.2 ms with 64 rows, 8.3 with 4; no difference at 1,024). Not one, so that a channel's
// constants are loaded once for some rows.
inline constexpr int64_t kBlockRows = 4;

// Reads (rows, channels) arrays ahead of a walk over blocks of their rows, where they are too large for the caches, as
// hardware prefetchers follow four rows at once too slowly. Forward and backward of 16,384 x 200: 6.7 ms without, 4.9
// with; up to 4 MB an array, which stays in the caches, it would cost up to a tenth.
template <class Data>
class ReadAhead {
 public:
  ReadAhead() = default;  // reads nothing ahead
  ReadAhead(int64_t rows, int64_t channels, const void* first, const void* second = nullptr,
            const void* third = nullptr)
      : arrays_{first, second, third}, row_bytes_(channels * int64_t(sizeof(Data))), bytes_(rows * row_bytes_) {
    const bool rows_are_short = kBlockRows * row_bytes_ <= kAhead;  // long ones are streams for the hardware
    ahead_ = bytes_ >= kFromBytes && rows_are_short ? kAhead : bytes_;
  }

  // Before the block that begins with row n.
  void operator()(int64_t n) const {
    const int64_t begin = n * row_bytes_ + ahead_, end = smaller(begin + kBlockRows * row_bytes_, bytes_);
    for (const void* array : arrays_) {
      if (array == nullptr) continue;
      for (int64_t at = begin; at < end; at += kCacheLine) prefetch(static_cast<const char*>(array) + at);
    }
  }

 private:
  static constexpr int64_t kAhead = 8 << 10, kFromBytes = 5 << 20, kCacheLine = 64;

  const void* arrays_[3] = {};
  int64_t row_bytes_ = 0, bytes_ = 0, ahead_ = 0;
};

// body(first row, end row, Constant<NV>, column, columns) over blocks of rows [first, end) and all panels of columns.
template <class T, class Data, class Body>
inline void for_blocks(int64_t first, int64_t end, int64_t channels, const ReadAhead<Data>& read_ahead,
                       const Body& body) {
  const Panels<T> panels{channels};
  for (int64_t n = first; n < end; n += kBlockRows) {
    read_ahead(n);
    for (int64_t panel = 0; panel < panels.count(); ++panel) {
      with_vectors(panels.vectors(panel), [&](auto nv) {
        body(n, smaller(n + kBlockRows, end), nv, panels.first(panel), panels.width(panel));
      });
    }
  }
}

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
