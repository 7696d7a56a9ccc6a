// Sums per symbol. The gradient of the first level's output is summed over the rows that have a symbol at a position.
// The sums have the rows of now->symbols, and each chunk has sums of its own.
#pragma once

#include "engine/training/cpu/step_state.h"
#include "kernels/cpu/add_arrays.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Makes room for the sums of all chunks, and for a row of zeros behind them.
template <class T>
inline void begin_symbol_sums(StepState<T>& s) {
  s.symbol_sums_stride = s.most_symbol_rows() * s.stride(0);
  s.symbol_sums = scratch_array<T>(s.context, s.chunks() * s.symbol_sums_stride + s.stride(0));
}

// The sums of one chunk. Of several chunks each begins with zeros. A single chunk begins each sum at the row of zeros
// (see sums_before).
template <class T>
struct SymbolSums {
  T* sums;
  int64_t columns;
  int64_t group;
  const int32_t* row_of;
  const int32_t* sum_before;  // where there are several chunks, row_of itself

  SymbolSums(const StepState<T>& s, const RowRange& range)
      : sums(s.symbol_sums + range.chunk * s.symbol_sums_stride),
        columns(s.stride(0)),
        group(s.now->symbols.block),
        row_of(s.now->symbols.row_of + range.first * group),
        sum_before((s.chunks() == 1 ? s.now->sum_before : s.now->symbols.row_of) + range.first * group) {
    if (s.chunks() == 1) {
      fill_zero(sums + s.now->symbols.rows() * columns, columns);
    } else {
      fill_zero(sums, s.now->symbols.rows() * columns);
    }
  }

  // Adds NV vectors to the sums of all symbols of row r of the chunk.
  template <int NV>
  void add(int64_t r, int64_t column, const Vec<T>* dz) const {
    for (int64_t t = 0; t < group; ++t) {
      const T* before = sums + sum_before[r * group + t] * columns + column;
      T* row = sums + row_of[r * group + t] * columns + column;
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) store(row + v * kWidth<T>, load(before + v * kWidth<T>) + dz[v]);
    }
  }
};

// Adds the sums of all chunks to those of the first one.
template <class T>
inline void merge_symbol_sums(StepState<T>& s) {
  const int64_t size = s.now->symbols.rows() * s.stride(0), chunks = s.chunks();
  T* sums = s.symbol_sums;
  if (chunks == 1) return;
  constexpr int64_t kSlice = 2048;
  parallel_for(s.context, ceil_div(size, kSlice), double(chunks) * size / kFlopsPerMicro, [&](int64_t task) {
    const int64_t first = task * kSlice, stride = s.symbol_sums_stride;
    add_arrays(sums + first, sums + stride + first, chunks - 1, stride, smaller(kSlice, size - first));
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
