// Matrix products from register tiles. All products of the kernels are made of these.
//
// A tile is a few rows of A times up to kTileVectors vectors of columns of B, summed over k in registers. A and B are
// read through small accessors. So a product over gathered embeddings needs no gathered copy, and B may be packed
// (panels of kPanel columns, each k contiguous) or lie as it is. The caller's epilogue takes the sums. The order of
// summation depends on the shapes alone.
#pragma once

#include "kernels/cpu/panels.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/transpose.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The most rows of a tile of NV vectors, at [NV - 1]: as many as leave registers for a row of B and a value of A.
inline constexpr int kTileRowsOf16Registers[kTileVectors] = {8, 5, 4, 3};
inline constexpr int kTileRowsOf32Registers[kTileVectors] = {14, 12, 8, 6};
// On 64-bit Arm compilers load the values of A of all rows before the first of them is used, which takes a register for
// each. With 12 rows of 2 vectors, g++ 12 kept up to five of the sums in memory.
inline constexpr int kTileRowsOfNeon[kTileVectors] = {14, 8, 6, 5};
inline constexpr bool kIsNeon = kRegisters == 32 && kVectorBytes == 16;
template <int NV>
inline constexpr int kTileRows = kIsNeon            ? kTileRowsOfNeon[NV - 1]
                                 : kRegisters == 32 ? kTileRowsOf32Registers[NV - 1]
                                                    : kTileRowsOf16Registers[NV - 1];
inline constexpr int kMostTileRows = 14;

// ---- accessors ------------------------------------------------------------------------------------------------------

// A by row: a(i, k) = row[i][k].
template <class T>
struct RowsOfA {
  const T* row[kMostTileRows];
  T operator()(int i, int64_t k) const { return row[i][k]; }
};

// A by column of gathered rows: a(i, k) = table[symbols[k * symbol_stride]][i]. Beyond i = `last` it repeats that
// value.
template <class T>
struct GatheredColumnsOfA {
  const T* table;
  int64_t stride;
  const int32_t* symbols;
  int64_t symbol_stride;
  int64_t last;
  T operator()(int i, int64_t k) const { return table[symbols[k * symbol_stride] * stride + smaller(i, last)]; }
};

// B packed: the vectors of row k of a panel of NV vectors.
template <class T, int NV>
struct PackedRows {
  const T* panel;
  Vec<T> operator()(int64_t k, int v) const { return load(panel + (k * NV + v) * kWidth<T>); }
};

// B as it lies: rows `stride` apart, whose last vector holds `last` columns.
template <class T, int NV>
struct PlainRows {
  const T* rows;
  int64_t stride;
  int64_t last;
  Vec<T> operator()(int64_t k, int v) const {
    const T* p = rows + k * stride + v * kWidth<T>;
    return v == NV - 1 ? load_first(p, last) : load(p);
  }
};

// ---- tiles ----------------------------------------------------------------------------------------------------------

// Calls epilogue(row, sums) for each of the first `rows` of MR rows. sums[v] is the sum over segments and k of
// a_of(segment)(row, k) * b(segment * depth + k, v). Most products have one segment.
template <int MR, int NV, class T, class AOf, class B, class Epilogue>
inline void tile(int64_t rows, int64_t segments, int64_t depth, const AOf& a_of, const B& b, const Epilogue& epilogue) {
  // The members of these copies stay in registers. The compiler must assume that a store of the epilogue changes the
  // members of an argument, and would read them anew for every vector.
  const B rows_of_b = b;
  const Epilogue finish = epilogue;
  Vec<T> sums[MR][NV] = {};
  for (int64_t segment = 0; segment < segments; ++segment) {
    const auto a = a_of(segment);
    for (int64_t k = 0; k < depth; ++k) {
      Vec<T> row_b[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) row_b[v] = rows_of_b(segment * depth + k, v);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const Vec<T> value = broadcast(a(i, k));
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) sums[i][v] += value * row_b[v];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    if (i < rows) finish(i, sums[i]);
  }
}

// The same for 1 to kTileRows<NV> rows, by the smallest tile that holds them. a_of must be good for all rows of that
// tile: where fewer are left, it repeats the last one.
template <int NV, class T, class AOf, class B, class Epilogue>
inline void tile_of(int64_t rows, int64_t segments, int64_t depth, const AOf& a_of, const B& b,
                    const Epilogue& epilogue) {
  constexpr int kMost = kTileRows<NV>;
  if (rows == 1) return tile<1, NV, T>(rows, segments, depth, a_of, b, epilogue);
  if (rows == 2) return tile<2, NV, T>(rows, segments, depth, a_of, b, epilogue);
  if constexpr (kMost > 4) {
    if (rows <= 4) return tile<4, NV, T>(rows, segments, depth, a_of, b, epilogue);
  }
  if constexpr (kMost > 8) {
    if (rows <= 8) return tile<8, NV, T>(rows, segments, depth, a_of, b, epilogue);
  }
  tile<kMost, NV, T>(rows, segments, depth, a_of, b, epilogue);
}

// Calls body(first, rows) for each tile of NV vectors that rows [begin, end) are cut into. The last tile may have fewer
// rows than the others.
template <int NV, class Body>
inline void for_tiles(int64_t begin, int64_t end, const Body& body) {
  for (int64_t first = begin; first < end; first += kTileRows<NV>) body(first, smaller(kTileRows<NV>, end - first));
}

// The row pointers of a tile: row_at(i) for i < rows, then the last one again.
template <class T, class RowAt>
inline RowsOfA<T> rows_of_a(int64_t rows, const RowAt& row_at) {
  RowsOfA<T> a;
#pragma GCC unroll 16
  for (int i = 0; i < kMostTileRows; ++i) a.row[i] = row_at(smaller(i, rows - 1));
  return a;
}

// target[c] = sum over r < count of rows(r)[c], for the columns of one panel.
template <class T, int NV>
inline void sum_plain_rows(const PlainRows<T, NV>& rows, int64_t count, T* target) {
  Vec<T> sums[NV] = {};
  for (int64_t r = 0; r < count; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) sums[v] += rows(r, v);
  }
  for (int v = 0; v < NV; ++v) {
    store_first(target + v * kWidth<T>, sums[v], v < NV - 1 ? kWidth<T> : rows.last);
  }
}

// ---- layouts --------------------------------------------------------------------------------------------------------

// Packs one panel of the transpose of a (rows, k) matrix whose rows lie `row_stride` apart. Element (h, k) goes to
// panel h / kPanel, row k, lane h % kPanel. Lanes beyond `rows` are 0.
template <class T>
inline void pack_transposed(const T* matrix, int64_t row_stride, int64_t rows, int64_t k_count, int64_t panel,
                            T* target) {
  const Panels<T> panels{rows};
  const int64_t stride = panels.vectors(panel) * kWidth<T>, width = panels.width(panel);
  const T* source = matrix + panels.first(panel) * row_stride;
  for (int64_t lane = 0; lane < width; lane += kWidth<T>) {
    for (int64_t k = 0; k < k_count; k += kWidth<T>) {
      transpose<T>(source + lane * row_stride + k, row_stride, smaller(kWidth<T>, width - lane),
                   smaller(kWidth<T>, k_count - k), target + k * stride + lane, stride, kWidth<T>);
    }
  }
}

// Packs columns [0, columns) of `k_count` rows, in panels as above. Panel p starts at first(p) * k_count.
template <class T, class RowOf>
inline void pack_rows(const RowOf& row_of, int64_t k_count, int64_t columns, T* packed) {
  const Panels<T> panels{columns};
  for (int64_t number = 0; number < panels.count(); ++number) {
    const Panel panel = panels.at(number);
    const int64_t whole = panel.width - panel.last;  // columns in its vectors before the last
    T* target = packed + panel.column * k_count;
    for (int64_t k = 0; k < k_count; ++k) {
      const T* source = row_of(k) + panel.column;
      for (int64_t c = 0; c < whole; c += kWidth<T>) store(target + c, load(source + c));
      store(target + whole, load_first(source + whole, panel.last));
      target += whole + kWidth<T>;
    }
  }
}

// How many panels of B are packed at a time: as many as stay in the L2 cache beside A.
template <class T>
inline int64_t packed_panels(int64_t columns, int64_t depth) {
  constexpr int64_t kBytes = 256 << 10;
  const int64_t panel_bytes = larger(depth, 1) * kPanel<T> * int64_t(sizeof(T));
  return smaller(larger(kBytes / panel_bytes, 1), Panels<T>{columns}.count());
}

// The number of elements in so many packed panels.
template <class T>
inline int64_t packed_elements(int64_t columns, int64_t depth) {
  return smaller(packed_panels<T>(columns, depth) * kPanel<T>, Panels<T>{columns}.padded()) * depth;
}

// Packs B, of `columns` columns and `depth` rows, a group of panels at a time, so that the copy stays small.
// pack(panel, target) packs one panel. body(first, end, packed) computes with panels [first, end), where packed(panel)
// is the place of each. A copy of all panels of a 1,024 x 1,024 matrix would take 4 MB, where torch's product takes
// none.
template <class T, class Pack, class Body>
inline void by_packed_panels(Context& context, int64_t columns, int64_t depth, const Pack& pack, const Body& body) {
  const Panels<T> panels{columns};
  const int64_t group = packed_panels<T>(columns, depth);
  const Context::Mark before = context.mark();
  T* packed = scratch_array<T>(context, packed_elements<T>(columns, depth));
  for (int64_t first = 0; first < panels.count(); first += group) {
    const int64_t end = smaller(first + group, panels.count());
    const auto at = [=](int64_t panel) { return packed + (panel - first) * kPanel<T> * depth; };
    parallel_for(context, end - first, double((end - first) * kPanel<T> * depth * sizeof(T)) / kBytesPerMicro,
                 [&](int64_t i) { pack(first + i, at(first + i)); });
    body(first, end, at);
  }
  context.return_to(before);
}

// How far apart rows lie, so that consecutive rows do not fall into the same few sets of a cache: whole vectors, and an
// odd number of cache lines.
template <class T>
inline int64_t row_stride(int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(T);
  return (ceil_div(columns, kLine) | 1) * kLine;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
