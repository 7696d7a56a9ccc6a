// Matrix products where all matrices (activations, weights, gradients) have rows of whole vectors. Values beyond a
// row's columns take part in no result within them, since sums over columns end at the last column. These values are 0
// at first, but settings that torch allows make them NaN (AdamW's 0 / (0 + eps) with an eps of 0).
#pragma once

#include "kernels/cpu/gemm.h"

namespace namegen::cpu::NAMEGEN_ISA {

template <class T>
inline int64_t padded(int64_t columns) {
  return ceil_div(columns, kWidth<T>) * kWidth<T>;
}

// A by row. Its rows lie `stride` apart.
template <class T>
struct StridedRowsOfA {
  const T* first;
  int64_t stride;
  T operator()(int i, int64_t k) const { return first[i * stride + k]; }
};

// A by column: a(i, k) = first[k * stride + i].
template <class T>
struct ColumnsOfA {
  const T* first;
  int64_t stride;
  T operator()(int i, int64_t k) const { return first[k * stride + i]; }
};

template <class T, int NV>
struct WholeRows {
  const T* rows;
  int64_t stride;
  Vec<T> operator()(int64_t k, int v) const { return load(rows + k * stride + v * kWidth<T>); }
};

// The products below call `finish` with their results. A lambda that captures by value is the faster one, see `tile`.

// The left operand of `multiply`. Rows lie `stride` apart. Each is made of `segments` pieces of `depth` values, which
// lie `segment_stride` apart (neighbouring positions, whose rows are padded).
template <class T>
struct LeftRows {
  const T* rows;
  int64_t stride;
  int64_t segments;
  int64_t segment_stride;
  int64_t depth;
};

// Returns the number of rows of the next tile. It is the most that a tile has. Where fewer rows are left, it is the
// largest power of two that is not more. So no tile reads a row that does not exist or that another thread may be
// writing. Measured: a training step takes 1 to 2% longer so than with padded tiles.
template <int NV>
inline int64_t tile_rows(int64_t left) {
  if (left >= kTileRows<NV>) return kTileRows<NV>;
  return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

// Calls body(first, rows) for each tile of NV vectors that `count` rows are cut into. No tile has rows beyond the last.
template <int NV, class Body>
inline void for_whole_tiles(int64_t count, const Body& body) {
  int64_t first = 0;
  while (first < count) {
    const int64_t rows = tile_rows<NV>(count - first);
    body(first, rows);
    first += rows;
  }
}

// Calls finish(row, column, Constant<NV>, sums) with sums[v] = (left @ b)[row][column + v * width ...] for `count`
// rows. b has segments * depth rows of `columns` columns (whole vectors), `b_stride` apart.
template <class T, class Finish>
inline void multiply(const LeftRows<T>& left, int64_t count, const T* b, int64_t b_stride, int64_t columns,
                     const Finish& finish) {
  for_each_panel<T>(columns, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    const int64_t column = panel.column;
    const WholeRows<T, NV> rows_of_b{b + column, b_stride};
    for_whole_tiles<NV>(count, [&](int64_t r, int64_t rows) {
      const auto a_of = [&](int64_t segment) {
        return StridedRowsOfA<T>{left.rows + r * left.stride + segment * left.segment_stride, left.stride};
      };
      tile_of<NV, T>(rows, left.segments, left.depth, a_of, rows_of_b,
                     [=](int i, const Vec<T>* sums) { finish(r + i, column, nv, sums); });
    });
  });
}

// The same with a bias, where it is not null: calls finish(row, column, sum) for each vector of left @ b + bias.
template <class T, class Finish>
inline void multiply_and_add_bias(const LeftRows<T>& left, int64_t count, const T* b, int64_t b_stride, int64_t columns,
                                  const T* bias, const Finish& finish) {
  multiply<T>(left, count, b, b_stride, columns, [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
    for (int v = 0; v < decltype(nv)::value; ++v) {
      const int64_t at = column + v * kWidth<T>;
      finish(r, at, bias == nullptr ? sums[v] : sums[v] + load(bias + at));
    }
  });
}

// The `finish` that stores to rows `stride` apart.
template <class T>
struct StoreRows {
  T* rows;
  int64_t stride;
  template <class Vectors>
  void operator()(int64_t row, int64_t column, Vectors, const Vec<T>* values) const {
    store_vectors<Vectors::value>(rows + row * stride + column, values);
  }
};

// So many rows are summed before the sums go to memory. One panel of both operands then stays in the L1 cache.
inline constexpr int64_t kDepthRows = 64;

// The operands of `multiply_transposed`: a (count, rows) and b (count, columns). The columns are whole vectors.
template <class T>
struct TransposedProduct {
  const T* a;
  int64_t a_stride;
  int64_t rows;
  const T* b;
  int64_t b_stride;
  int64_t columns;
  int64_t count;
};

// Calls finish(at, sums[i][c]) for i < p.rows and each vector of c < p.columns, where at = i * out_stride + c and
// sums[i][c] = sum over rows r < count of a[r][i] * b[r][c]. Where there are more than kDepthRows rows, the sums over
// the first of them are kept in out[at].
template <class T, class Finish>
inline void multiply_transposed(const TransposedProduct<T>& p, T* out, int64_t out_stride, const Finish& finish) {
  for (int64_t first = 0; first < p.count; first += kDepthRows) {
    const int64_t depth = smaller(kDepthRows, p.count - first);
    const bool begin = first == 0, last = first + depth == p.count;
    for_each_panel<T>(p.columns, [&](auto nv, const Panel& panel) {
      constexpr int NV = decltype(nv)::value;
      const int64_t column = panel.column;
      const WholeRows<T, NV> rows_of_b{p.b + first * p.b_stride + column, p.b_stride};
      for_whole_tiles<NV>(p.rows, [&](int64_t i0, int64_t rows) {
        const auto a_of = [&](int64_t) { return ColumnsOfA<T>{p.a + first * p.a_stride + i0, p.a_stride}; };
        if (begin && last) {  // the most frequent case
          tile_of<NV, T>(rows, 1, depth, a_of, rows_of_b, [=](int i, const Vec<T>* sums) {
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) finish((i0 + i) * out_stride + column + v * kWidth<T>, sums[v]);
          });
          return;
        }
        tile_of<NV, T>(rows, 1, depth, a_of, rows_of_b, [=](int i, const Vec<T>* sums) {
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) {
            const int64_t at = (i0 + i) * out_stride + column + v * kWidth<T>;
            const Vec<T> sum = begin ? sums[v] : load(out + at) + sums[v];
            if (last) {
              finish(at, sum);
            } else {
              store(out + at, sum);
            }
          }
        });
      });
    });
  }
}

// The sums of the lanes of `kWidth` vectors: lane i of the result is the sum of v[i]. It takes as many shuffles as a
// transpose. The function calls itself, so that each v[i] is a register of its own.
template <class T, int Count = kWidth<T>>
inline Vec<T> sums_of_lanes(Vec<T>* v) {
  if constexpr (Count == 1) {
    return v[0];
  } else {
    constexpr auto kLanes = std::make_integer_sequence<int, kWidth<T>>{};
    Vec<T> sums[Count / 2];
#pragma GCC unroll 8
    for (int i = 0; i < Count / 2; ++i) {
      sums[i] = interleave<T, 0>(v[i], v[i + Count / 2], kLanes) + interleave<T, 1>(v[i], v[i + Count / 2], kLanes);
    }
    return sums_of_lanes<T, Count / 2>(sums);
  }
}

// The tiles of multiply_rows: MR rows of a by NR rows of b. A tile has at most a vector's width of results.
template <int MR, int NR, class T, class Finish>
inline void multiply_rows_by(const T* a, int64_t a_stride, int64_t a_rows, const T* b, int64_t b_stride, int64_t b_rows,
                             int64_t columns, const Finish& finish_results) {
  const Finish finish = finish_results;  // see `tile`
  for (int64_t i0 = 0; i0 < a_rows; i0 += MR) {
    const T* row_a[MR];
    for (int i = 0; i < MR; ++i) row_a[i] = a + smaller(i0 + i, a_rows - 1) * a_stride;
    for (int64_t j0 = 0; j0 < b_rows; j0 += NR) {
      const T* row_b[NR];
      for (int j = 0; j < NR; ++j) row_b[j] = b + smaller(j0 + j, b_rows - 1) * b_stride;
      Vec<T> sums[kWidth<T>] = {};
      const auto add_products = [&](const auto& load_at) {
        Vec<T> value_b[NR];
#pragma GCC unroll 4
        for (int j = 0; j < NR; ++j) value_b[j] = load_at(row_b[j]);
#pragma GCC unroll 4
        for (int i = 0; i < MR; ++i) {
          const Vec<T> value_a = load_at(row_a[i]);
#pragma GCC unroll 4
          for (int j = 0; j < NR; ++j) sums[i * NR + j] += value_a * value_b[j];
        }
      };
      const int64_t whole = columns / kWidth<T> * kWidth<T>;
      for (int64_t c = 0; c < whole; c += kWidth<T>) add_products([=](const T* row) { return load(row + c); });
      if (whole < columns) {
        add_products([=](const T* row) { return load_first(row + whole, columns - whole); });
      }
      alignas(kVectorBytes) T results[kWidth<T>];
      store(results, sums_of_lanes<T>(sums));
      for (int64_t i = 0; i < smaller(MR, a_rows - i0); ++i) {
        for (int64_t j = 0; j < smaller(NR, b_rows - j0); ++j) finish(i0 + i, j0 + j, results[i * NR + j]);
      }
    }
  }
}

// Calls finish(i, j, sum over c of a[i][c] * b[j][c]) for i < a_rows and j < b_rows. Both operands are read as they
// lie. This is for results that are narrower than a vector.
template <class T, class Finish>
inline void multiply_rows(const T* a, int64_t a_stride, int64_t a_rows, const T* b, int64_t b_stride, int64_t b_rows,
                          int64_t columns, const Finish& finish) {
  constexpr int NR = kWidth<T> >= 8 ? 4 : 2;
  multiply_rows_by<kWidth<T> / NR, NR, T>(a, a_stride, a_rows, b, b_stride, b_rows, columns, finish);
}

// out[c] = sum over rows r < count of a[r][c], for c < columns (whole vectors).
template <class T>
inline void sum_rows(const T* a, int64_t stride, int64_t columns, int64_t count, T* out) {
  for_each_panel<T>(columns, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    const T* source = a + panel.column;
    Vec<T> sums[NV] = {};
    for (int64_t r = 0; r < count; ++r, source += stride) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sums[v] += load(source + v * kWidth<T>);
    }
    store_vectors<NV>(out + panel.column, sums);
  });
}

}  // namespace namegen::cpu::NAMEGEN_ISA
