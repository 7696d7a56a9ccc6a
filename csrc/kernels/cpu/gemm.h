// Matrix products from register tiles: what every product in the kernels is made of.
//
// A tile is up to kTileRows rows of A times up to kTileVectors vectors of columns of B, summed over k in registers.
// Rows of A are given by pointers, so a product over gathered embeddings needs no gathered copy; rows of B come from a
// loader, so B may be packed (panels of kPanel columns, each k contiguous) or lie as it is. What becomes of the sums is
// the caller's epilogue. The order of summation depends on the shapes alone.
#pragma once

#include "kernels/cpu/parallel.h"

namespace namegen::cpu::NAMEGEN_ISA {

inline constexpr int kTileVectors = 4;
template <class T>
inline constexpr int kPanel = kTileVectors * kWidth<T>;

// B packed: k-th row of a panel of NV vectors.
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

// epilogue(row, sums) for each of MR rows, where sums[v] = sum over segments and k of a[row][k * a_stride] * b(k, v).
// rows_of(segment, a) points a at the rows of A for that segment of `depth` k's; most products have one segment.
template <int MR, int NV, class T, class RowsOf, class B, class Epilogue>
inline void tile(int64_t segments, int64_t depth, const RowsOf& rows_of, int64_t a_stride, const B& b,
                 const Epilogue& epilogue) {
  Vec<T> sums[MR][NV] = {};
  for (int64_t segment = 0; segment < segments; ++segment) {
    const T* a[kTileRows];
    rows_of(segment, a);
    for (int64_t k = 0; k < depth; ++k) {
      Vec<T> row_b[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) row_b[v] = b(segment * depth + k, v);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const Vec<T> value = broadcast(a[i][k * a_stride]);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) sums[i][v] += value * row_b[v];
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) epilogue(i, sums[i]);
}

// The same for `rows` rows, 1 to kTileRows.
template <int NV, class T, class RowsOf, class B, class Epilogue>
inline void tile_of(int64_t rows, int64_t segments, int64_t depth, const RowsOf& rows_of, int64_t a_stride,
                    const B& b, const Epilogue& epilogue) {
  static_assert(kTileRows == 3 || kTileRows == 6);
  switch (rows) {
    case 1: return tile<1, NV, T>(segments, depth, rows_of, a_stride, b, epilogue);
    case 2: return tile<2, NV, T>(segments, depth, rows_of, a_stride, b, epilogue);
    case 3: return tile<3, NV, T>(segments, depth, rows_of, a_stride, b, epilogue);
    default: break;
  }
  if constexpr (kTileRows > 3) {
    switch (rows) {
      case 4: return tile<4, NV, T>(segments, depth, rows_of, a_stride, b, epilogue);
      case 5: return tile<5, NV, T>(segments, depth, rows_of, a_stride, b, epilogue);
      default: return tile<6, NV, T>(segments, depth, rows_of, a_stride, b, epilogue);
    }
  }
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
    case 1: return body(Constant<1>{});
    case 2: return body(Constant<2>{});
    case 3: return body(Constant<3>{});
    default: return body(Constant<4>{});
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

// Packs the transpose of a row-major (rows, k) matrix: element (h, k) goes to panel h / kPanel, row k, lane h % kPanel.
// Panel p starts at first(p) * k_count; lanes beyond `rows` are 0.
template <class T>
inline void pack_transposed(const T* matrix, int64_t rows, int64_t k_count, int64_t panel, T* packed) {
  const Panels<T> panels{rows};
  const int64_t stride = panels.vectors(panel) * kWidth<T>;
  const int64_t width = panels.width(panel);
  const T* source = matrix + panels.first(panel) * k_count;
  T* target = packed + panels.first(panel) * k_count;
  for (int64_t lane = width; lane < stride; ++lane) {
    for (int64_t k = 0; k < k_count; ++k) target[k * stride + lane] = T(0);
  }
  constexpr int64_t kBlock = 8;  // 8 lanes x 8 k at a time: whole cache lines are read and written
  for (int64_t lane = 0; lane < width; lane += kBlock) {
    const int64_t lanes = smaller(kBlock, width - lane);
    for (int64_t k0 = 0; k0 < k_count; k0 += kBlock) {
      const int64_t k1 = smaller(k0 + kBlock, k_count);
      for (int64_t i = lane; i < lane + lanes; ++i) {
        for (int64_t k = k0; k < k1; ++k) target[k * stride + i] = source[i * k_count + k];
      }
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
