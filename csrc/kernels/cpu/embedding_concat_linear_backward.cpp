// The gradients of embedding_concat_linear, with d = dy * (1 - y^2) for tanh and d = dy without:
//
//   db = sum_n d[n],  dW_t = sum_n d[n]^T C[token(n, t)],  dC[s] = sum_{n, t: token(n, t) = s} d[n] @ W_t.
//
// By table: sum d over the examples that share a symbol at a position first, G[t, s]; both products then run over the
// symbols that occur instead of over the examples. By plain product where symbols hardly repeat: the same two
// products over the examples themselves. Sums are cut into chunks that depend on the shapes alone and are merged in
// order, so the bits are the same for any number of threads.
#include "kernels/cpu/embedding_concat_linear.h"
#include "kernels/cpu/functions.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using Backward = EmbeddingConcatLinearBackward;

// Examples that all panels of columns pass over before the next ones are read: few, so that y and dy are read nearly in
// the order in which they lie, which is what hardware prefetchers follow.
constexpr int64_t kPieceRows = 16;

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
  return g - g * value * value;
}

// ---- sums of d per symbol -------------------------------------------------------------------------------------------

// sums[row(n, t)] += d[n] for the examples [first, end) and the NV vectors of columns from `column` on. All positions
// take d from registers; the rows of one panel of columns stay in the L1 cache (81 rows x 256 bytes at V=27, block 3).
template <class Data, bool Tanh, int NV>
void add_examples(const Backward& p, const SymbolRows& symbols, int64_t first, int64_t end, int64_t column,
                  int64_t columns, Compute<Data>* sums, int64_t stride) {
  using T = Compute<Data>;
  const int64_t block = p.shape.block, hidden = p.shape.hidden;
  const Data* dy = static_cast<const Data*>(p.grad_output) + column;
  const Data* y = static_cast<const Data*>(p.output) + column;
  for (int64_t n = first; n < end; ++n) {
    Vec<T> d[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const int64_t at = n * hidden + v * kWidth<T>;
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
GradientRows<Compute<Data>> sum_by_symbol(const Backward& p, const SymbolRows& symbols, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, hidden = p.shape.hidden;
  const int64_t stride = row_stride<T>(hidden), size = symbols.rows() * stride;
  // A chunk of examples has sums of its own as long as these stay small beside the incoming gradient.
  const int64_t affordable = larger(1, larger(batch * hidden / 2, (1 << 20) / int64_t(sizeof(T))) / larger(size, 1));
  const int64_t chunks = smaller(smaller(16, affordable), ceil_div(batch, 512));
  const Panels<T> panels{hidden};
  const int64_t column_tasks = chunks == 1 ? panels.count() : 1;
  T* sums = scratch_array<T>(context, chunks * size);

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
    for (int64_t n = first; n < end; n += kPieceRows) {
      for (int64_t panel = panel_first; panel < panel_end; ++panel) {
        with_vectors(panels.vectors(panel), [&](auto nv) {
          add_examples<Data, Tanh, decltype(nv)::value>(p, symbols, n, smaller(n + kPieceRows, end),
                                                        panels.first(panel), panels.width(panel), own, stride);
        });
      }
    }
  });

  if (chunks > 1) {
    constexpr int64_t kSlice = 4096;
    parallel_for(context, ceil_div(size, kSlice), double(chunks * size) * sizeof(T) / kBytesPerMicro,
                 [&](int64_t task) {
                   const int64_t end = smaller((task + 1) * kSlice, size);
                   for (int64_t chunk = 1; chunk < chunks; ++chunk) {
                     const T* other = sums + chunk * size;
                     for (int64_t i = task * kSlice; i < end; i += kWidth<T>)
                       store(sums + i, load(sums + i) + load(other + i));
                   }
                 });
  }
  return {sums, stride};
}

// d of every example, padded to whole vectors.
template <class Data, bool Tanh>
GradientRows<Compute<Data>> each_example(const Backward& p, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, hidden = p.shape.hidden, stride = row_stride<T>(hidden);
  T* rows = scratch_array<T>(context, batch * stride);
  constexpr int64_t kRows = 64;
  const double micros = double(batch) * hidden * 3 * sizeof(Data) / kBytesPerMicro;
  parallel_for(context, ceil_div(batch, kRows), micros, [&](int64_t task) {
    for (int64_t n = task * kRows; n < smaller((task + 1) * kRows, batch); ++n) {
      const Data* dy = static_cast<const Data*>(p.grad_output) + n * hidden;
      const Data* y = static_cast<const Data*>(p.output) + n * hidden;
      for (int64_t h = 0; h < hidden; h += kWidth<T>) {
        store(rows + n * stride + h, gradient<Data, Tanh>(dy + h, y + h, smaller(kWidth<T>, hidden - h)));
      }
    }
  });
  return {rows, stride};
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
      Vec<T> sums[NV] = {};
      for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) sums[v] += load(d.rows + r * d.stride + column + v * kWidth<T>);
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
template <class T, class RowsAt>
void weight_gradient(const Backward& p, const RowsAt& rows_at, double total_rows, Context& context) {
  const int64_t block = p.shape.block, embed = p.shape.embed, hidden = p.shape.hidden, k_count = block * embed;
  const T* embedding = static_cast<const T*>(p.embedding);
  const Panels<T> panels{hidden};
  T* transposed = scratch_array<T>(context, k_count * panels.padded());  // by position and panel: (E, width)

  constexpr int64_t kDepth = 128;  // rows summed at a time: their panel of d stays in L1
  parallel_for(context, block * panels.count(), 2 * total_rows * embed * hidden / kFlopsPerMicro, [&](int64_t task) {
    const int64_t t = task / panels.count(), panel = task % panels.count();
    const PositionRows<T> position = rows_at(t);
    const int64_t column = panels.first(panel), width = panels.vectors(panel) * kWidth<T>;
    T* sums_at = transposed + t * embed * panels.padded() + column * embed;
    with_vectors(panels.vectors(panel), [&](auto nv) {
      constexpr int NV = decltype(nv)::value;
      for (int64_t r = 0; r < position.rows; r += kDepth) {
        const int64_t depth = smaller(kDepth, position.rows - r);
        const PlainRows<T, NV> b{position.d.rows + r * position.d.stride + column, position.d.stride, kWidth<T>};
        for (int64_t e = 0; e < embed; e += kTileRows<NV>) {
          const int64_t count = smaller(kTileRows<NV>, embed - e);
          const auto a_of = [&](int64_t) {
            return GatheredColumnsOfA<T>{embedding + e, embed, position.symbols + r * position.symbol_stride,
                                         position.symbol_stride, count - 1};
          };
          tile_of<NV, T>(count, 1, depth, a_of, b, [&](int i, const Vec<T>* sums) {
            T* target = sums_at + (e + i) * width;
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) {
              T* q = target + v * kWidth<T>;
              store(q, r == 0 ? sums[v] : load(q) + sums[v]);
            }
          });
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

// dC[symbols[r * positions + t]] += d[r] @ W[:, columns of position t], for `positions` positions from `t0` on.
template <class T>
void add_embedding_gradient(const Backward& p, int64_t t0, int64_t positions, GradientRows<T> d, int64_t rows,
                            const int32_t* symbols, Context& context) {
  const int64_t embed = p.shape.embed, hidden = p.shape.hidden, k_count = p.shape.block * embed;
  const int64_t columns = positions * embed;
  const T* weight = static_cast<const T*>(p.linear_weight) + t0 * embed;
  T* grad = static_cast<T*>(p.grad_embedding);
  const Panels<T> panels{columns};
  const bool pack = rows > 2 * kMostTileRows;  // else W is read where it lies: packing pays from the third pass on
  T* packed = pack ? scratch_array<T>(context, hidden * panels.padded()) : nullptr;
  if (pack) pack_rows([&](int64_t h) { return weight + h * k_count; }, hidden, columns, packed);

  constexpr int64_t kRows = 512;  // rows whose products wait, together, to be added
  const int64_t stride = panels.padded();
  T* products = scratch_array<T>(context, smaller(kRows, rows) * stride);
  for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
    const int64_t count = smaller(kRows, rows - r0);
    constexpr int64_t kTaskRows = 48;
    parallel_for(
        context, ceil_div(count, kTaskRows), 2.0 * count * columns * hidden / kFlopsPerMicro, [&](int64_t task) {
          const int64_t end = smaller((task + 1) * kTaskRows, count);
          for (int64_t panel = 0; panel < panels.count(); ++panel) {
            with_vectors(panels.vectors(panel), [&](auto nv) {
              constexpr int NV = decltype(nv)::value;
              const int64_t column = panels.first(panel);
              for (int64_t r = task * kTaskRows; r < end; r += kTileRows<NV>) {
                const int64_t tile_rows = smaller(kTileRows<NV>, end - r);
                const auto a_of = [&](int64_t) {
                  return rows_of_a<T>(tile_rows, [&](int64_t i) { return d.rows + (r0 + r + i) * d.stride; });
                };
                const auto keep = [&](int i, const Vec<T>* sums) {
#pragma GCC unroll 8
                  for (int v = 0; v < NV; ++v) store(products + (r + i) * stride + column + v * kWidth<T>, sums[v]);
                };
                if (pack) {
                  tile_of<NV, T>(tile_rows, 1, hidden, a_of, PackedRows<T, NV>{packed + column * hidden}, keep);
                } else {
                  const PlainRows<T, NV> b{weight + column, k_count, panels.last(panel)};
                  tile_of<NV, T>(tile_rows, 1, hidden, a_of, b, keep);
                }
              }
            });
          }
        });
    // Added row after row, each thread to columns of its own.
    parallel_for(context, ceil_div(embed, kWidth<T>), double(count) * columns * sizeof(T) / kBytesPerMicro,
                 [&](int64_t task) {
                   const int64_t e = task * kWidth<T>, lanes = smaller(kWidth<T>, embed - e);
                   for (int64_t r = 0; r < count; ++r) {
                     for (int64_t t = 0; t < positions; ++t) {
                       T* target = grad + symbols[(r0 + r) * positions + t] * embed + e;
                       const T* source = products + r * stride + t * embed + e;
                       store_first(target, load_first(target, lanes) + load_first(source, lanes), lanes);
                     }
                   }
                 });
  }
}

template <class Data, bool Tanh>
void backward(const Backward& p, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, embed = p.shape.embed, hidden = p.shape.hidden;
  T* grad_bias = static_cast<T*>(p.grad_linear_bias);
  if (may_use_table(p.shape, p.algorithm)) {
    const SymbolRows symbols = number_symbols(p.shape, p.tokens, context);
    // Two products of E lanes (in whole vectors) for each example and position, or for each row and 2 additions.
    const double padded = double(Panels<T>{embed}.padded());
    const double table = 2 * double(symbols.rows()) * padded + 2.0 * batch * block;
    const double plain = 2 * double(batch) * block * padded;
    if (p.algorithm == Algorithm::kTable || (table < plain && table_fits<T>(p.shape, symbols.rows()))) {
      const GradientRows<T> d = sum_by_symbol<Data, Tanh>(p, symbols, context);
      if (grad_bias != nullptr) bias_gradient(d, symbols.base[1], hidden, grad_bias, context);
      const auto rows_at = [&](int64_t t) {
        const int64_t first = symbols.base[t];
        return PositionRows<T>{
            {d.rows + first * d.stride, d.stride}, symbols.base[t + 1] - first, symbols.symbols + first, 1};
      };
      if (p.grad_linear_weight != nullptr) weight_gradient<T>(p, rows_at, double(symbols.rows()), context);
      for (int64_t t = 0; t < block && p.grad_embedding != nullptr; ++t) {
        const PositionRows<T> own = rows_at(t);
        add_embedding_gradient(p, t, 1, own.d, own.rows, own.symbols, context);
      }
      return;
    }
  }
  const GradientRows<T> d = each_example<Data, Tanh>(p, context);
  if (grad_bias != nullptr) bias_gradient(d, batch, hidden, grad_bias, context);
  const auto rows_at = [&](int64_t t) { return PositionRows<T>{d, batch, p.tokens + t, block}; };
  if (p.grad_linear_weight != nullptr) weight_gradient<T>(p, rows_at, double(batch) * block, context);
  if (p.grad_embedding != nullptr) add_embedding_gradient(p, 0, block, d, batch, p.tokens, context);
}

}  // namespace

template <class Data>
void embedding_concat_linear_backward(const Backward& p, Context& context) {
  using T = Compute<Data>;
  const auto& shape = p.shape;
  if (p.grad_embedding != nullptr) fill_zero(static_cast<T*>(p.grad_embedding), shape.vocab * shape.embed);
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
