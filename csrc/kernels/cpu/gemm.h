// Matrix products from register tiles: what every product in the kernels is made of.
//
// A tile is a few rows of A times up to kTileVectors vectors of columns of B, summed over k in registers. A and B are
// read through small accessors, so a product over gathered embeddings needs no gathered copy, and B may be packed
// (panels of kPanel columns, each k contiguous) or lie as it is. What becomes of the sums is the caller's epilogue. The
// order of summation depends on the shapes alone.
#pragma once

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/transpose.h"

namespace namegen::cpu::NAMEGEN_ISA {

inline constexpr int kTileVectors = 4;
template <class T>
inline constexpr int kPanel = kTileVectors * kWidth<T>;

// The most rows of a tile of NV vectors: as many as leave registers for a row of B and a value of A.
template <int NV>
inline constexpr int kTileRows = kRegisters == 32 ? (NV == 4   ? 6
                                                     : NV == 3 ? 8
                                                     : NV == 2 ? 12
                                                               : 14)
                                                  : (NV == 4   ? 3
                                                     : NV == 3 ? 4
                                                     : NV == 2 ? 5
                                                               : 8);
inline constexpr int kMostTileRows = 14;

// ---- accessors ------------------------------------------------------------------------------------------------------

// A by row: a(i, k) = row[i][k].
template <class T>
struct RowsOfA {
  const T* row[kMostTileRows];
  T operator()(int i, int64_t k) const { return row[i][k]; }
};

// A by column of gathered rows: a(i, k) = table[symbols[k * symbol_stride]][i], for i up to `last`.
template <class T>
struct GatheredColumnsOfA {
  const T* table;
  int64_t stride;
  const int32_t* symbols;
  int64_t symbol_stride;
  int64_t last;
  T operator()(int i, int64_t k) const { return table[symbols[k * symbol_stride] * stride + smaller(i, last)]; }
};

// B packed: row k of a panel of NV vectors.
template <class T, int NV>
struct PackedRows {
  const T* panel;
  Vec<T> operator()(int64_t k, int v) const { return load(panel + (k * NV + v) * kWidth<T>); }
};

// B as it lies: rows `stride` apart, the last vector holding `last` columns.
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

// epilogue(row, sums) for each of the first `rows` of MR rows, where sums[v] is the sum over segments and k of
// a_of(segment)(row, k) * b(segment * depth + k, v). Most products have one segment.
template <int MR, int NV, class T, class AOf, class B, class Epilogue>
inline void tile(int64_t rows, int64_t segments, int64_t depth, const AOf& a_of, const B& b, const Epilogue& epilogue) {
  // Copies, whose members stay in registers: those of an argument might, for all the compiler knows, be what a store of
  // the epilogue changes, and would be read anew for every vector.
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

// The same for 1 to kTileRows<NV> rows, by the smallest tile that holds them. a_of must be good for all of that tile's
// rows: it repeats the last row where fewer are left.
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

// Row pointers for a tile: row_at(i) for i < rows, the last one repeated.
template <class T, class RowAt>
inline RowsOfA<T> rows_of_a(int64_t rows, const RowAt& row_at) {
  RowsOfA<T> a;
#pragma GCC unroll 16
  for (int i = 0; i < kMostTileRows; ++i) a.row[i] = row_at(smaller(i, rows - 1));
  return a;
}

// Calls body with the number of vectors, 1 to kTileVectors, as a compile-time constant.
template <int N>
struct Constant {
  static constexpr int value = N;
};
template <class Body>
inline void with_vectors(int64_t vectors, const Body& body) {
  static_assert(kTileVectors == 4);
  switch (vectors) {
    case 1:
      return body(Constant<1>{});
    case 2:
      return body(Constant<2>{});
    case 3:
      return body(Constant<3>{});
    default:
      return body(Constant<4>{});
  }
}

// How n columns fall into panels of kTileVectors vectors, the last one only as wide as it needs to be.
template <class T>
struct Panels {
  int64_t columns;
  int64_t count() const { return ceil_div(columns, kPanel<T>); }
  int64_t padded() const { return ceil_div(columns, kWidth<T>) * kWidth<T>; }
  int64_t first(int64_t panel) const { return panel * kPanel<T>; }
  int64_t width(int64_t panel) const { return smaller(kPanel<T>, columns - first(panel)); }
  int64_t vectors(int64_t panel) const { return ceil_div(width(panel), kWidth<T>); }
  // Lanes in use of the panel's last vector.
  int64_t last(int64_t panel) const { return width(panel) - (vectors(panel) - 1) * kWidth<T>; }
};

// ---- layouts --------------------------------------------------------------------------------------------------------

// Packs the transpose of a row-major (rows, k) matrix: element (h, k) goes to panel h / kPanel, row k, lane h % kPanel.
// Panel p starts at first(p) * k_count; lanes beyond `rows` are 0.
template <class T>
inline void pack_transposed(const T* matrix, int64_t rows, int64_t k_count, int64_t panel, T* packed) {
  const Panels<T> panels{rows};
  const int64_t stride = panels.vectors(panel) * kWidth<T>, width = panels.width(panel);
  const T* source = matrix + panels.first(panel) * k_count;
  T* target = packed + panels.first(panel) * k_count;
  for (int64_t lane = 0; lane < width; lane += kWidth<T>) {
    for (int64_t k = 0; k < k_count; k += kWidth<T>) {
      transpose<T>(source + lane * k_count + k, k_count, smaller(kWidth<T>, width - lane),
                   smaller(kWidth<T>, k_count - k), target + k * stride + lane, stride, kWidth<T>);
    }
  }
}

// Packs columns [0, columns) of `k_count` rows that lie `stride` apart, in panels as above.
template <class T, class RowOf>
inline void pack_rows(const RowOf& row_of, int64_t k_count, int64_t columns, T* packed) {
  const Panels<T> panels{columns};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    const int64_t vectors = panels.vectors(panel), last = panels.last(panel);
    T* target = packed + panels.first(panel) * k_count;
    for (int64_t k = 0; k < k_count; ++k) {
      const T* source = row_of(k) + panels.first(panel);
      for (int64_t v = 0; v < vectors - 1; ++v, source += kWidth<T>, target += kWidth<T>) store(target, load(source));
      store(target, load_first(source, last));
      target += kWidth<T>;
    }
  }
}

// Rows apart in memory so that consecutive rows do not fall into the same few sets of a cache: whole vectors, and an
// odd number of cache lines.
template <class T>
inline int64_t row_stride(int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(T);
  return (ceil_div(columns, kLine) | 1) * kLine;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
