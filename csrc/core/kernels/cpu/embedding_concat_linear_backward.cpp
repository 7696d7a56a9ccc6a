// The gradients of embedding_concat_linear, with d = dy * (1 - y^2) for tanh and d = dy without:
//
//   db = sum_n d[n],  dW_t = sum_n d[n]^T C[token(n, t)],  dC[s] = sum_{n, t: token(n, t) = s} d[n] @ W_t.
//
// By table: sum d over the examples that share a symbol at a position first, G[t, s]; both products then run over the
// symbols that occur instead of over the examples. By plain product where symbols hardly repeat: the same two
// products over the examples themselves. Sums are cut into chunks that depend on the shapes alone and are merged in
// order, so the bits are the same for any number of threads.
#include "kernels/cpu/add_arrays.h"
#include "kernels/cpu/embedding_concat_linear_choice.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/row_blocks.h"
#include "kernels/cpu/symbol_rows.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using Backward = EmbeddingConcatLinearBackward;

// Rows of pre-activation gradients: one an example and shared by all positions (plain), or one per symbol and position.
template <class T>
struct GradientRows {
  const T* rows;
  int64_t stride;
};

// d for vector v of a row.
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
// take d from registers; the rows of one panel of columns stay in the L1 cache (81 rows x 256 bytes at V=27, block 3).
template <class Data, bool Tanh, int NV>
void add_examples(const Backward& p, const SymbolRows& symbols, const RowBlocks<Data>& blocks, int64_t first,
                  int64_t end, int64_t column, int64_t columns, Compute<Data>* sums, int64_t stride) {
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
      d[v] = gradient<Data, Tanh>(dy + at, y + at, v < NV - 1 ? kWidth<T> : columns - v * kWidth<T>);
    }
    for (int64_t t = 0; t < block; ++t) {
      T* row = sums + symbols.row_of[n * block + t] * stride + column;
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) store(row + v * kWidth<T>, load(row + v * kWidth<T>) + d[v]);
    }
  }
}

template <class Data, bool Tanh>
GradientRows<Compute<Data>> sum_by_symbol(const Backward& p, const SymbolRows& symbols, int64_t others,
                                          Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, hidden = p.shape.hidden;
  const int64_t stride = row_stride<T>(hidden), size = symbols.rows() * stride;
  // A chunk of examples has sums of its own as long as these stay small beside the incoming gradient, and fit.
  const int64_t room = (context.room() - kRounding) / int64_t(sizeof(T)) - others;
  const int64_t most = smaller(room, larger(batch * hidden / 2, (1 << 20) / int64_t(sizeof(T))));
  const int64_t affordable = larger(1, most / larger(size, 1));
  const int64_t chunks = smaller(smaller(16, affordable), ceil_div(batch, 512));
  const Panels<T> panels{hidden};
  const int64_t column_tasks = chunks == 1 ? panels.count() : 1;
  T* sums = scratch_array<T>(context, chunks * size);
  // (Backward at 16,384 examples, V=27, H=200: 1.9 ms by 16 rows with nothing asked for ahead, 1.1 so.)
  // A task with some of the columns alone asks for nothing: what lies ahead in memory are mostly columns of others.
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
  return {sums, stride};
}

// d of every example, (N, H) without padding: no more memory than the unfused layers take for it. Where it is dy, as it
// lies.
template <class Data, bool Tanh>
GradientRows<Compute<Data>> each_example(const Backward& p, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, hidden = p.shape.hidden;
  if constexpr (!Tanh && sizeof(T) == sizeof(Data)) return {static_cast<const T*>(p.grad_output), p.output_stride};
  T* rows = scratch_array<T>(context, batch * hidden);
  constexpr int64_t kRows = 64;
  const double micros = double(batch) * hidden * 3 * sizeof(Data) / kBytesPerMicro;
  parallel_for(context, ceil_div(batch, kRows), micros, [&](int64_t task) {
    for (int64_t n = task * kRows; n < smaller((task + 1) * kRows, batch); ++n) {
      const Data* dy = static_cast<const Data*>(p.grad_output) + n * p.output_stride;
      const Data* y = static_cast<const Data*>(p.output) + n * p.output_stride;
      for (int64_t h = 0; h < hidden; h += kWidth<T>) {
        const int64_t lanes = smaller(kWidth<T>, hidden - h);
        store_first(rows + n * hidden + h, gradient<Data, Tanh>(dy + h, y + h, lanes), lanes);
      }
    }
  });
  return {rows, hidden};
}

// ---- the three gradients --------------------------------------------------------------------------------------------

// db[h] = sum over rows of d[r, h].
template <class T>
void bias_gradient(GradientRows<T> d, int64_t rows, int64_t hidden, T* grad_bias, Context& context) {
  const Panels<T> panels{hidden};
  parallel_for(context, panels.count(), double(rows) * hidden * sizeof(T) / kBytesPerMicro, [&](int64_t panel) {
    with_vectors(panels.vectors(panel), [&](auto nv) {
      constexpr int NV = decltype(nv)::value;
      const int64_t column = panels.first(panel);
      const PlainRows<T, NV> row{d.rows + column, d.stride, panels.last(panel)};
      Vec<T> sums[NV] = {};
      for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) sums[v] += row(r, v);
      }
      for (int v = 0; v < NV; ++v) {
        T* target = grad_bias + column + v * kWidth<T>;
        store_first(target, sums[v], v < NV - 1 ? kWidth<T> : panels.last(panel));
      }
    });
  });
}

// The rows of d that position t sums over, and whose symbols they belong to.
template <class T>
struct PositionRows {
  GradientRows<T> d;
  int64_t rows;
  const int32_t* symbols;  // of row r: symbols[r * symbol_stride]
  int64_t symbol_stride;
};

// dW[h, t*E + e] = sum over the rows of position t of d[r, h] * C[symbol of r, e]. Vectors run along h, where d is
// contiguous; a finished panel is transposed into dW.
template <class T>
void weight_gradient(const Backward& p, int64_t t, const PositionRows<T>& position, T* transposed, Context& context) {
  const int64_t embed = p.shape.embed, hidden = p.shape.hidden, k_count = p.shape.block * embed;
  const T* embedding = static_cast<const T*>(p.embedding);
  const Panels<T> panels{hidden};
  constexpr int64_t kDepth = 128;  // rows summed at a time: their panel of d stays in L1
  const double micros = 2.0 * position.rows * embed * hidden / kFlopsPerMicro;
  parallel_for(context, panels.count(), micros, [&](int64_t panel) {
    const int64_t column = panels.first(panel), width = panels.vectors(panel) * kWidth<T>;
    T* sums_at = transposed + column * embed;  // (E, width)
    with_vectors(panels.vectors(panel), [&](auto nv) {
      constexpr int NV = decltype(nv)::value;
      // Rows of d may be a power of two apart and fall into few sets of the cache: read often, they are packed.
      const bool pack = embed > 2 * kTileRows<NV>;
      alignas(64) T packed[kDepth * NV * kWidth<T>];
      for (int64_t r = 0; r < position.rows; r += kDepth) {
        const int64_t depth = smaller(kDepth, position.rows - r);
        const PlainRows<T, NV> plain{position.d.rows + r * position.d.stride + column, position.d.stride,
                                     panels.last(panel)};
        for (int64_t k = 0; pack && k < depth; ++k) {
          for (int v = 0; v < NV; ++v) store(packed + (k * NV + v) * kWidth<T>, plain(k, v));
        }
        for (int64_t e = 0; e < embed; e += kTileRows<NV>) {
          const int64_t count = smaller(kTileRows<NV>, embed - e);
          const auto a_of = [&](int64_t) {
            return GatheredColumnsOfA<T>{embedding + e, embed, position.symbols + r * position.symbol_stride,
                                         position.symbol_stride, count - 1};
          };
          const auto add = [&](int i, const Vec<T>* sums) {
            T* target = sums_at + (e + i) * width;
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) {
              T* q = target + v * kWidth<T>;
              store(q, r == 0 ? sums[v] : load(q) + sums[v]);
            }
          };
          if (pack) {
            tile_of<NV, T>(count, 1, depth, a_of, PackedRows<T, NV>{packed}, add);
          } else {
            tile_of<NV, T>(count, 1, depth, a_of, plain, add);
          }
        }
      }
    });
    T* grad = static_cast<T*>(p.grad_linear_weight) + column * k_count + t * embed;
    for (int64_t h = 0; h < panels.width(panel); h += kWidth<T>) {
      for (int64_t e = 0; e < embed; e += kWidth<T>) {
        const int64_t rows = smaller(kWidth<T>, embed - e), columns = smaller(kWidth<T>, panels.width(panel) - h);
        transpose<T>(sums_at + e * width + h, width, rows, columns, grad + h * k_count + e, k_count, rows);
      }
    }
  });
}

// Room for one position's part of the two products.
template <class T>
struct ProductBuffers {
  T* packed;    // (H, E) of W
  T* products;  // (rows, E) of d @ W_t
};
constexpr int64_t kProductRows = 512;  // rows whose products wait, together, to be added

// dC[symbol of r] += d[r] @ W_t for the rows [first, first + count) of position t, count <= kProductRows.
template <class T>
void add_embedding_gradient(const Backward& p, int64_t t, const PositionRows<T>& position, int64_t first, int64_t count,
                            ProductBuffers<T> buffers, Context& context) {
  const int64_t embed = p.shape.embed, hidden = p.shape.hidden, k_count = p.shape.block * embed;
  const T* weight = static_cast<const T*>(p.linear_weight) + t * embed;
  T* grad = static_cast<T*>(p.grad_embedding);
  const Panels<T> panels{embed};
  const bool pack = count > 2 * kMostTileRows;  // else W is read where it lies, which two passes over it do not repay
  if (pack) pack_rows([&](int64_t h) { return weight + h * k_count; }, hidden, embed, buffers.packed);

  constexpr int64_t kTaskRows = 48;
  const int64_t stride = panels.padded();
  const double micros = 2.0 * count * embed * hidden / kFlopsPerMicro;
  parallel_for(context, ceil_div(count, kTaskRows), micros, [&](int64_t task) {
    const int64_t end = smaller((task + 1) * kTaskRows, count);
    for (int64_t panel = 0; panel < panels.count(); ++panel) {
      with_vectors(panels.vectors(panel), [&](auto nv) {
        constexpr int NV = decltype(nv)::value;
        const int64_t column = panels.first(panel);
        for (int64_t r = task * kTaskRows; r < end; r += kTileRows<NV>) {
          const int64_t tile_rows = smaller(kTileRows<NV>, end - r);
          const auto a_of = [&](int64_t) {
            return rows_of_a<T>(tile_rows,
                                [&](int64_t i) { return position.d.rows + (first + r + i) * position.d.stride; });
          };
          const auto keep = [&](int i, const Vec<T>* sums) {
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) store(buffers.products + (r + i) * stride + column + v * kWidth<T>, sums[v]);
          };
          if (pack) {
            tile_of<NV, T>(tile_rows, 1, hidden, a_of, PackedRows<T, NV>{buffers.packed + column * hidden}, keep);
          } else {
            const PlainRows<T, NV> b{weight + column, k_count, panels.last(panel)};
            tile_of<NV, T>(tile_rows, 1, hidden, a_of, b, keep);
          }
        }
      });
    }
  });
  // Added row after row, each thread to columns of its own.
  const double add_micros = double(count) * embed * sizeof(T) / kBytesPerMicro;
  parallel_for(context, ceil_div(embed, kWidth<T>), add_micros, [&](int64_t task) {
    const int64_t e = task * kWidth<T>, lanes = smaller(kWidth<T>, embed - e);
    for (int64_t r = 0; r < count; ++r) {
      T* target = grad + position.symbols[(first + r) * position.symbol_stride] * embed + e;
      store_first(target, load_first(target, lanes) + load(buffers.products + r * stride + e), lanes);
    }
  });
}

// The elements of scratch memory that the products take, one after the other.
template <class T>
int64_t product_elements(const Backward& p, int64_t most_rows) {
  const int64_t of_weight = p.shape.embed * Panels<T>{p.shape.hidden}.padded();
  const int64_t of_embedding = (p.shape.hidden + smaller(kProductRows, most_rows)) * Panels<T>{p.shape.embed}.padded();
  return larger(p.grad_linear_weight != nullptr ? of_weight : 0, p.grad_embedding != nullptr ? of_embedding : 0);
}

// Both products for every position. rows_at(t) are the position's rows, at most `most_rows` of them.
template <class T, class RowsAt>
void both_products(const Backward& p, const RowsAt& rows_at, int64_t most_rows, Context& context) {
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

template <class Data, bool Tanh>
void backward(const Backward& p, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, embed = p.shape.embed, hidden = p.shape.hidden;
  T* grad_bias = static_cast<T*>(p.grad_linear_bias);
  if (may_use_table(p.shape, p.algorithm, context)) {
    const Context::Mark before = context.mark();
    const SymbolRows symbols = number_symbols(p.shape, p.tokens, context);
    // Two products of E lanes (in whole vectors) for each example and position, or for each row and 2 additions.
    const double padded = double(Panels<T>{embed}.padded());
    const double table = 2 * double(symbols.rows()) * padded + 2.0 * batch * block;
    const double plain = 2 * double(batch) * block * padded;
    const int64_t most_rows = smaller(batch, p.shape.vocab), others = product_elements<T>(p, most_rows);
    if (p.algorithm == Algorithm::kTable ||
        (table < plain && table_fits<Data>(p.shape, symbols.rows(), p.activation, others, context))) {
      const GradientRows<T> d = sum_by_symbol<Data, Tanh>(p, symbols, others, context);
      if (grad_bias != nullptr) bias_gradient(d, symbols.base[1], hidden, grad_bias, context);
      const auto rows_at = [&](int64_t t) {
        const int64_t first = symbols.base[t];
        return PositionRows<T>{
            {d.rows + first * d.stride, d.stride}, symbols.base[t + 1] - first, symbols.symbols + first, 1};
      };
      both_products<T>(p, rows_at, most_rows, context);
      return;
    }
    context.return_to(before);
  }
  const GradientRows<T> d = each_example<Data, Tanh>(p, context);
  if (grad_bias != nullptr) bias_gradient(d, batch, hidden, grad_bias, context);
  const auto rows_at = [&](int64_t t) { return PositionRows<T>{d, batch, p.tokens + t, block}; };
  both_products<T>(p, rows_at, batch, context);
}

}  // namespace

template <class Data>
void embedding_concat_linear_backward(const Backward& p, Context& context) {
  using T = Compute<Data>;
  const auto& shape = p.shape;
  if (p.grad_embedding != nullptr && !p.add_to_embedding) {
    fill_zero(static_cast<T*>(p.grad_embedding), shape.vocab * shape.embed);
  }
  if (shape.batch == 0 || shape.hidden == 0) {
    if (p.grad_linear_weight != nullptr) {
      fill_zero(static_cast<T*>(p.grad_linear_weight), shape.hidden * shape.block * shape.embed);
    }
    if (p.grad_linear_bias != nullptr) fill_zero(static_cast<T*>(p.grad_linear_bias), shape.hidden);
    return;
  }
  if (p.activation == Activation::kTanh) {
    backward<Data, true>(p, context);
  } else {
    backward<Data, false>(p, context);
  }
}

template void embedding_concat_linear_backward<float>(const Backward&, Context&);
template void embedding_concat_linear_backward<double>(const Backward&, Context&);
template void embedding_concat_linear_backward<BFloat16>(const Backward&, Context&);
template void embedding_concat_linear_backward<Float16>(const Backward&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
