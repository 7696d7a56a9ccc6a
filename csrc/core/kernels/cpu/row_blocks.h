// How kernels that do little with each value walk through large arrays of rows: by blocks of rows, with read-ahead.
#pragma once

#include "kernels/cpu/gemm.h"

namespace namegen::cpu::NAMEGEN_ISA {

// A walk by blocks of rows over `arrays` arrays of (rows, channels) that are read, and at most one that is written. All
// panels of columns pass over a block before the next block is read.
template <class Data>
class RowBlocks {
 public:
  RowBlocks(int64_t rows, int64_t channels, int arrays) : channels_(channels) {
    const int64_t row_bytes = channels * int64_t(sizeof(Data));
    if (rows * row_bytes < kFromBytes) return;
    if (arrays > 1) rows_ = larger(1, smaller(kRows, kSetsBytes / row_bytes));
    ahead_ = arrays > 1 ? kAhead / arrays : larger(kAhead, rows_ * row_bytes);  // reaches into the next block
  }

  // Calls body(first row, end row, Constant<NV>, column, columns) for rows [first, end) of all panels of columns, or of
  // panels [panel_first, panel_end).
  template <class Body>
  void walk(int64_t first, int64_t end, const Body& body) const {
    walk(first, end, 0, Panels<Compute<Data>>{channels_}.count(), body);
  }
  template <class Body>
  void walk(int64_t first, int64_t end, int64_t panel_first, int64_t panel_end, const Body& body) const {
    const Panels<Compute<Data>> panels{channels_};
    for (int64_t n = first; n < end; n += rows_) {
      for_panels(panels, panel_first, panel_end,
                 [&](auto nv, const Panel& panel) { body(n, smaller(n + rows_, end), nv, panel.column, panel.width); });
    }
  }

  // Asks for the cache lines of `array` that the walk will come to some rows after the NV vectors from element `at` on.
  // Hardware prefetchers follow four rows at once too slowly. One line is asked for at a time, between the
  // computations, since requests for all lines of a block at once would hold the computations up. Measured: 6.7 ms
  // without read-ahead, 4.9 ms with a block at once, 3.5 ms with a line at a time (batch norm forward and backward,
  // 16,384 x 200).
  template <int NV>
  void read_ahead(const void* array, int64_t at) const {
    request<NV>(array, at, [](const char* line) { prefetch(line); });
  }

  // The same for lines that will be written. A store that waits for its line holds up the stores behind it.
  template <int NV>
  void write_ahead(const void* array, int64_t at) const {
    request<NV>(array, at, [](const char* line) { prefetch_to_write(line); });
  }

 private:
  // Blocks have few rows, so that memory is read nearly in the order in which it lies. They have more than one, so that
  // the parameters of a channel are loaded once for some rows. Measured: 9.2 ms with 64 rows, 8.3 ms with 4 (without
  // read-ahead).
  static constexpr int64_t kRows = 4;
  // Lines that lie this far apart share a set of the L1 cache. If a block held more of each array, the lines of four
  // arrays would drive each other out. Measured: 2.4 ms with four rows, 1.4 ms with one (batch norm backward, 2,048 x
  // 1,024).
  static constexpr int64_t kSetsBytes = 4 << 10;
  static constexpr int64_t kAhead = 12 << 10;       // a quarter of the L1 cache
  static constexpr int64_t kFromBytes = 512 << 10;  // smaller arrays stay in the caches

  template <int NV, class Prefetch>
  void request(const void* array, int64_t at, const Prefetch& prefetch_line) const {
    if (ahead_ == 0) return;
    constexpr int64_t kBytes = NV * kWidth<Compute<Data>> * int64_t(sizeof(Data)), kCacheLine = 64;
    // It may lie beyond the array's end.
    const uintptr_t first = reinterpret_cast<uintptr_t>(array) + at * sizeof(Data) + ahead_;
#pragma GCC unroll 8
    for (int64_t b = 0; b < kBytes; b += kCacheLine) prefetch_line(reinterpret_cast<const char*>(first + b));
  }

  int64_t channels_, rows_ = kRows, ahead_ = 0;
};

}  // namespace namegen::cpu::NAMEGEN_ISA
