// The GPT's matrix products: rows of activations with weights in panels (gpt_layout.h), from the register tiles of
// kernels/cpu/gemm.h.
#pragma once

#include "engine/gpt/cpu/gpt_layout.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The distance between two rows of activations: whole vectors. Rows longer than a panel take an odd number of cache
// lines, so that the rows of one panel use all sets of the L1 cache.
template <class T>
inline int64_t activation_stride(int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t stride = padded<T>(columns);
  return stride > kPanel<T> ? (ceil_div(stride, kLine) | 1) * kLine : stride;
}

// Rows of activations, `stride` apart.
template <class T>
struct Rows {
  T* data;
  int64_t stride;
  T* row(int64_t r) const { return data + r * stride; }
  Rows from(int64_t first) const { return {data + first * stride, stride}; }
};

// finish(row, column, Constant<NV>, sums): the vectors of left (count, depth) @ b, whose rows of `columns` columns lie
// `b_stride` apart. The last tile may read rows beyond the last one, as many as RowArray has. Then a few rows take one
// tile, where `multiply` takes one for each power of two in their number.
template <class T, class Finish>
inline void multiply_padded(const Rows<T>& left, int64_t count, int64_t depth, const T* b, int64_t b_stride,
                            int64_t columns, const Finish& finish_sums) {
  const Finish finish = finish_sums;  // see `tile`
  for_each_panel<T>(columns, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    const int64_t column = panel.column;
    const WholeRows<T, NV> rows_of_b{b + column, b_stride};
    for_tiles<NV>(0, count, [&](int64_t r, int64_t rows) {
      const auto a_of = [&](int64_t) { return StridedRowsOfA<T>{left.row(r), left.stride}; };
      tile_of<NV, T>(rows, 1, depth, a_of, rows_of_b,
                     [=](int i, const Vec<T>* sums) { finish(r + i, column, nv, sums); });
    });
  });
}

// The same for a matrix (depth, columns) in panels.
template <class T, class Finish>
inline void multiply_panels(const Rows<T>& left, int64_t count, const PanelMatrix<T>& matrix, const T* panels,
                            const Finish& finish_sums) {
  const Finish finish = finish_sums;  // see `tile`
  for (int64_t p = 0; p < matrix.panel_count(); ++p) {
    const int64_t first = p * kPanel<T>;
    multiply_padded<T>(
        left, count, matrix.rows, panels + matrix.panel(p), matrix.stride(p), matrix.stride(p),
        [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) { finish(r, first + column, nv, sums); });
  }
}

// The number of rows that are summed before a product is stored. A panel of that many rows fits the L1 cache.
inline constexpr int64_t kGradientRows = 96;

// out (inputs, columns in panels) = or += a^T @ b for a (count, inputs) and b (count, columns).
template <class T>
inline void accumulate_product(const Rows<T>& a, const Rows<T>& b, int64_t count, const PanelMatrix<T>& matrix, T* out,
                               bool begin) {
  for (int64_t r0 = 0; r0 < count; r0 += kGradientRows) {
    const int64_t depth = smaller(kGradientRows, count - r0);
    const bool add = !begin || r0 > 0;
    for (int64_t p = 0; p < matrix.panel_count(); ++p) {
      with_vectors(matrix.stride(p) / kWidth<T>, [&](auto nv) {
        constexpr int NV = decltype(nv)::value;
        const WholeRows<T, NV> rows_of_b{b.row(r0) + p * kPanel<T>, b.stride};
        T* target = out + matrix.panel(p);
        for (int64_t i0 = 0, tile; i0 < matrix.rows; i0 += tile) {
          tile = tile_rows<NV>(matrix.rows - i0);
          const auto a_of = [&](int64_t) { return ColumnsOfA<T>{a.row(r0) + i0, a.stride}; };
          T* at = target + i0 * NV * kWidth<T>;
          tile_of<NV, T>(tile, 1, depth, a_of, rows_of_b, [=](int i, const Vec<T>* sums) {
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
              T* to = at + (i * NV + v) * kWidth<T>;
              store(to, add ? load(to) + sums[v] : sums[v]);
            }
          });
        }
      });
    }
  }
}

// out += the sum of `count` rows of `columns` values.
template <class T>
inline void add_row_sums(const Rows<T>& rows, int64_t count, int64_t columns, T* out) {
  const Panels<T> panels{columns};
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    with_vectors(panels.vectors(panel), [&](auto nv) {
      constexpr int NV = decltype(nv)::value;
      const T* source = rows.data + panels.first(panel);
      T* target = out + panels.first(panel);
      Vec<T> sums[NV];
      for (int v = 0; v < NV; ++v) sums[v] = load(target + v * kWidth<T>);
      for (int64_t r = 0; r < count; ++r, source += rows.stride) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sums[v] += load(source + v * kWidth<T>);
      }
      for (int v = 0; v < NV; ++v) store(target + v * kWidth<T>, sums[v]);
    });
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
