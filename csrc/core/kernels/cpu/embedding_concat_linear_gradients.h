// The gradients of embedding_concat_linear from rows of d, the gradients before the activation: the sums of d over the
// examples that share a symbol at a position, and the products of such rows with the weights.
#pragma once

#include "kernels/cpu/add_arrays.h"
#include "kernels/cpu/embedding_concat_linear_choice.h"
#include "kernels/cpu/row_blocks.h"
#include "kernels/cpu/symbol_rows.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Rows of pre-activation gradients. By the plain way there is one for each example, shared by all positions. By table
// there is one for each symbol and position.
template <class T>
struct GradientRows {
  const T* rows;
  int64_t stride;
};

// d for one vector of a row.
template <class Data, bool Tanh>
inline Vec<Compute<Data>> gradient(const Data* dy, const Data* y, int64_t lanes) {
  using T = Compute<Data>;
  const Vec<T> g = load_data(dy, lanes);
  if constexpr (!Tanh) return g;
  const Vec<T> value = load_data(y, lanes);
  return g * (1 - value * value);
}

// ---- sums of d per symbol -------------------------------------------------------------------------------------------

// sums[row(n, t)] += d[n] for the examples [first, end) and the NV vectors of columns from `column` on. All positions
// take d from registers. The sums of one panel of columns stay in the L1 cache (81 rows x 256 bytes at V=27, block 3).
template <class Data, bool Tanh, int NV>
void add_examples(const EmbeddingConcatLinearBackward& p, const SymbolRows& symbols, const RowBlocks<Data>& blocks,
                  int64_t first, int64_t end, int64_t column, int64_t columns, Compute<Data>* sums, int64_t stride) {
  using T = Compute<Data>;
  const int64_t block = p.shape.block;
  const Data* dy = static_cast<const Data*>(p.grad_output) + column;
  const Data* y = static_cast<const Data*>(p.output) + column;
  for (int64_t n = first; n < end; ++n) {
    blocks.template read_ahead<NV>(dy, n * p.output_stride);
    if constexpr (Tanh) blocks.template read_ahead<NV>(y, n * p.output_stride);
    Vec<T> d[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const int64_t at = n * p.output_stride + v * kWidth<T>;
      d[v] = gradient<Data, Tanh>(dy + at, y + at, lanes_of<T, NV>(v, columns));
    }
    for (int64_t t = 0; t < block; ++t) {
      T* row = sums + symbols.row_of[n * block + t] * stride + column;
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) store(row + v * kWidth<T>, load(row + v * kWidth<T>) + d[v]);
    }
  }
}

// The sums of d over the examples that share a symbol at a position: one row for each, `row_stride` apart. `others` is
// how many elements of scratch memory the caller will ask for.
template <class Data, bool Tanh>
Compute<Data>* sum_by_symbol(const EmbeddingConcatLinearBackward& p, const SymbolRows& symbols, int64_t others,
                             Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, hidden = p.shape.hidden;
  const int64_t stride = row_stride<T>(hidden), size = symbols.rows() * stride;
  // The examples are cut into chunks, each with sums of its own, as long as these are small beside the incoming
  // gradient and there is room for them.
  const int64_t room = (context.room() - kRounding) / int64_t(sizeof(T)) - others;
  const int64_t most = smaller(room, larger(batch * hidden / 2, (1 << 20) / int64_t(sizeof(T))));
  const int64_t affordable = larger(1, most / larger(size, 1));
  const int64_t chunks = smaller(smaller(16, affordable), ceil_div(batch, 512));
  const Panels<T> panels{hidden};
  const int64_t column_tasks = chunks == 1 ? panels.count() : 1;
  T* sums = scratch_array<T>(context, chunks * size);
  // Measured: 1.9 ms by blocks of 16 rows without read-ahead, 1.1 ms with (backward, 16,384 examples, V=27, H=200). A
  // task with some of the columns alone does not read ahead, since mostly columns of other tasks lie ahead in memory.
  const RowBlocks<Data> blocks(column_tasks == 1 ? batch : 0, hidden, 1 + Tanh);

  const double micros = double(batch) * hidden * (block + 2 * sizeof(Data)) / kBytesPerMicro;
  parallel_for(context, chunks * column_tasks, micros, [&](int64_t task) {
    const int64_t chunk = task / column_tasks;
    const int64_t panel_first = column_tasks == 1 ? 0 : task % column_tasks;
    const int64_t panel_end = column_tasks == 1 ? panels.count() : panel_first + 1;
    const int64_t first = batch * chunk / chunks, end = batch * (chunk + 1) / chunks;
    T* own = sums + chunk * size;
    if (column_tasks == 1) {
      fill_zero(own, size);
    } else {
      const int64_t width = panels.vectors(panel_first) * kWidth<T>;
      for (int64_t r = 0; r < symbols.rows(); ++r) fill_zero(own + r * stride + panels.first(panel_first), width);
    }
    blocks.walk(
        first, end, panel_first, panel_end, [&](int64_t n, int64_t n_end, auto nv, int64_t column, int64_t columns) {
          add_examples<Data, Tanh, decltype(nv)::value>(p, symbols, blocks, n, n_end, column, columns, own, stride);
        });
  });

  if (chunks > 1) {
    constexpr int64_t kSlice = 4096;
    parallel_for(context, ceil_div(size, kSlice), double(chunks * size) * sizeof(T) / kBytesPerMicro,
                 [&](int64_t task) {
                   const int64_t first = task * kSlice;
                   add_arrays(sums + first, sums + size + first, chunks - 1, size, smaller(kSlice, size - first));
                 });
  }
  return sums;
}

// ---- the three gradients --------------------------------------------------------------------------------------------

// db[h] = sum over rows of d[r, h].
template <class T>
void bias_gradient(GradientRows<T> d, int64_t rows, int64_t hidden, T* grad_bias, Context& context) {
  const Panels<T> panels{hidden};
  parallel_for(context, panels.count(), double(rows) * hidden * sizeof(T) / kBytesPerMicro, [&](int64_t panel) {
    with_panel(panels, panel, [&](auto nv, const Panel& at) {
      const PlainRows<T, decltype(nv)::value> of_panel{d.rows + at.column, d.stride, at.last};
      sum_plain_rows(of_panel, rows, grad_bias + at.column);
    });
  });
}

// The rows of d that position t sums over, and the symbol that each belongs to.
template <class T>
struct PositionRows {
  GradientRows<T> d;
  int64_t rows;
  const int32_t* symbols;  // of row r: symbols[r * symbol_stride]
  int64_t symbol_stride;
};

// The sums that position t has for its symbols.
template <class T>
inline PositionRows<T> symbols_of_position(const SymbolRows& symbols, GradientRows<T> sums, int64_t t) {
  const int64_t first = symbols.base[t];
  return {{sums.rows + first * sums.stride, sums.stride}, symbols.base[t + 1] - first, symbols.symbols + first, 1};
}

constexpr int64_t kWeightDepth = 128;  // so many rows are summed at a time: their panel of d stays in L1

// sums (E, NV vectors) = sum over the rows of position t of C[symbol of r, e] * d[r, h], for one panel of columns h.
template <class T, int NV>
void weight_gradient_panel(const EmbeddingConcatLinearBackward& p, const PositionRows<T>& position, const Panel& panel,
                           T* sums) {
  const int64_t embed = p.shape.embed;
  const T* embedding = static_cast<const T*>(p.embedding);
  // Rows of d may be a power of two apart, and then fall into few sets of the cache. Rows that are read often are
  // packed.
  const bool pack = embed > 2 * kTileRows<NV>;
  alignas(64) T packed[kWeightDepth * NV * kWidth<T>];
  for (int64_t r = 0; r < position.rows; r += kWeightDepth) {
    const int64_t depth = smaller(kWeightDepth, position.rows - r);
    const auto add_products = [&](const auto& rows_of_d) {
      for_tiles<NV>(0, embed, [&](int64_t e, int64_t count) {
        const auto a_of = [&](int64_t) {
          return GatheredColumnsOfA<T>{embedding + e, embed, position.symbols + r * position.symbol_stride,
                                       position.symbol_stride, count - 1};
        };
        tile_of<NV, T>(count, 1, depth, a_of, rows_of_d, [&](int i, const Vec<T>* products) {
          T* target = sums + (e + i) * NV * kWidth<T>;
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v) {
            T* q = target + v * kWidth<T>;
            store(q, r == 0 ? products[v] : load(q) + products[v]);
          }
        });
      });
    };
    const PlainRows<T, NV> plain{position.d.rows + r * position.d.stride + panel.column, position.d.stride, panel.last};
    if (!pack) {
      add_products(plain);
      continue;
    }
    for (int64_t k = 0; k < depth; ++k) {
      for (int v = 0; v < NV; ++v) store(packed + (k * NV + v) * kWidth<T>, plain(k, v));
    }
    add_products(PackedRows<T, NV>{packed});
  }
}

// dW[h, t*E + e] = sum over the rows of position t of d[r, h] * C[symbol of r, e]. Vectors run along h, where d is
// contiguous. A finished panel is transposed into dW.
template <class T>
void weight_gradient(const EmbeddingConcatLinearBackward& p, int64_t t, const PositionRows<T>& position, T* transposed,
                     Context& context) {
  const int64_t embed = p.shape.embed, hidden = p.shape.hidden, k_count = p.shape.block * embed;
  const Panels<T> panels{hidden};
  const double micros = 2.0 * position.rows * embed * hidden / kFlopsPerMicro;
  parallel_for(context, panels.count(), micros, [&](int64_t number) {
    with_panel(panels, number, [&](auto nv, const Panel& panel) {
      constexpr int NV = decltype(nv)::value;
      T* sums = transposed + panel.column * embed;
      weight_gradient_panel<T, NV>(p, position, panel, sums);
      T* grad = static_cast<T*>(p.grad_linear_weight) + panel.column * k_count + t * embed;
      transpose_matrix(sums, NV * kWidth<T>, embed, panel.width, grad, k_count, false);
    });
  });
}

// Room for the two products of one position.
template <class T>
struct ProductBuffers {
  T* packed;    // (H, E) of W
  T* products;  // (rows, E) of d @ W_t
};
constexpr int64_t kProductRows = 512;  // the products of so many rows are formed before they are added

// dC[symbol of r] += d[r] @ W_t for rows [first, first + count) of position t, where count <= kProductRows.
template <class T>
void add_embedding_gradient(const EmbeddingConcatLinearBackward& p, int64_t t, const PositionRows<T>& position,
                            int64_t first, int64_t count, ProductBuffers<T> buffers, Context& context) {
  const int64_t embed = p.shape.embed, hidden = p.shape.hidden, k_count = p.shape.block * embed;
  const T* weight = static_cast<const T*>(p.linear_weight) + t * embed;
  T* grad = static_cast<T*>(p.grad_embedding);
  const bool pack = count > 2 * kMostTileRows;  // W is packed where it is read more than twice
  if (pack) pack_rows([&](int64_t h) { return weight + h * k_count; }, hidden, embed, buffers.packed);

  constexpr int64_t kTaskRows = 48;
  const int64_t stride = Panels<T>{embed}.padded();
  const double micros = 2.0 * count * embed * hidden / kFlopsPerMicro;
  parallel_for(context, ceil_div(count, kTaskRows), micros, [&](int64_t task) {
    const int64_t end = smaller((task + 1) * kTaskRows, count);
    for_each_panel<T>(embed, [&](auto nv, const Panel& panel) {
      constexpr int NV = decltype(nv)::value;
      for_tiles<NV>(task * kTaskRows, end, [&](int64_t r, int64_t rows) {
        const auto a_of = [&](int64_t) {
          return rows_of_a<T>(rows, [&](int64_t i) { return position.d.rows + (first + r + i) * position.d.stride; });
        };
        const auto keep = [&](int i, const Vec<T>* sums) {
          store_vectors<NV>(buffers.products + (r + i) * stride + panel.column, sums);
        };
        if (pack) {
          tile_of<NV, T>(rows, 1, hidden, a_of, PackedRows<T, NV>{buffers.packed + panel.column * hidden}, keep);
        } else {
          const PlainRows<T, NV> b{weight + panel.column, k_count, panel.last};
          tile_of<NV, T>(rows, 1, hidden, a_of, b, keep);
        }
      });
    });
  });
  // The products are added row after row. Each task adds to columns of its own.
  const double add_micros = double(count) * embed * sizeof(T) / kBytesPerMicro;
  parallel_for(context, ceil_div(embed, kWidth<T>), add_micros, [&](int64_t task) {
    const int64_t e = task * kWidth<T>, lanes = smaller(kWidth<T>, embed - e);
    for (int64_t r = 0; r < count; ++r) {
      T* target = grad + position.symbols[(first + r) * position.symbol_stride] * embed + e;
      store_first(target, load_first(target, lanes) + load(buffers.products + r * stride + e), lanes);
    }
  });
}

// The elements of scratch memory that the larger of the two products takes. They run one after the other.
template <class T>
int64_t product_elements(const EmbeddingConcatLinearBackward& p, int64_t most_rows) {
  const int64_t of_weight = p.shape.embed * Panels<T>{p.shape.hidden}.padded();
  const int64_t of_embedding = (p.shape.hidden + smaller(kProductRows, most_rows)) * Panels<T>{p.shape.embed}.padded();
  return larger(p.grad_linear_weight != nullptr ? of_weight : 0, p.grad_embedding != nullptr ? of_embedding : 0);
}

// Both products for every position. rows_at(t) gives the rows of a position, at most `most_rows` of them.
template <class T, class RowsAt>
void both_products(const EmbeddingConcatLinearBackward& p, const RowsAt& rows_at, int64_t most_rows, Context& context) {
  const int64_t block = p.shape.block, embed = p.shape.embed, hidden = p.shape.hidden;
  const Context::Mark before = context.mark();
  if (p.grad_linear_weight != nullptr) {
    T* transposed = scratch_array<T>(context, embed * Panels<T>{hidden}.padded());
    for (int64_t t = 0; t < block; ++t) weight_gradient<T>(p, t, rows_at(t), transposed, context);
    context.return_to(before);
  }
  if (p.grad_embedding != nullptr) {
    const int64_t stride = Panels<T>{embed}.padded();
    const ProductBuffers<T> buffers{scratch_array<T>(context, hidden * stride),
                                    scratch_array<T>(context, smaller(kProductRows, most_rows) * stride)};
    for (int64_t first = 0; first < most_rows; first += kProductRows) {
      for (int64_t t = 0; t < block; ++t) {
        const PositionRows<T> position = rows_at(t);
        const int64_t count = smaller(kProductRows, position.rows - first);
        if (count > 0) add_embedding_gradient<T>(p, t, position, first, count, buffers, context);
      }
    }
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
