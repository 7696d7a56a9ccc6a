// The gradients of embedding_concat_linear_batch_norm, by table. With d = dy * (1 - y^2) for tanh and d = dy without,
// xhat = (z - mean) * invstd, g = weight * invstd, and D[t, s] = the sum of d over the examples with symbol s at t:
//
//   dbias   = sum_n d[n]           = sum_s D[0, s],
//   dweight = sum_n d[n] * xhat[n] = sum_{t, s} D[t, s] * xhat[t, s],  as xhat[n] = sum_t xhat[t, s(n, t)],
//   dz[n]   = g * (d[n] - dbias / N - xhat[n] * dweight / N)   in training (see batch_norm_backward.cpp),
//
// and what embedding_concat_linear needs, the sum of dz over the examples with symbol s at t, is
//
//   G[t, s] = g * (D[t, s] - c[t, s] * dbias / N - X[t, s] * dweight / N)
//
// with X as in embedding_concat_linear_batch_norm.h. So dy and y are read once, and neither dz nor xhat is stored.
#include "kernels/cpu/embedding_concat_linear_batch_norm.h"

#include "kernels/cpu/batch_norm_chunks.h"
#include "kernels/cpu/embedding_concat_linear_gradients.h"
#include "kernels/cpu/gathered_rows.h"
#include "kernels/cpu/kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using Backward = EmbeddingConcatLinearBatchNormBackward;

// Turns one panel of the table into rows of xhat.
template <int NV, class T>
void normalise_panel(const Backward& p, const TablePanel<T>& table, const SymbolRows& symbols, const int32_t* counts,
                     const Panel& panel) {
  Vec<T> invstd[NV], shift[NV] = {};
  load_columns<T, NV>(p.invstd, panel.column, panel.width, T(1), invstd);
  if (p.training) {
    Wide<T> mean[NV] = {};
    centre_panel<NV>(table, symbols, counts, p.shape.batch, mean);
  } else {
    Vec<T> mean[NV], linear_bias[NV];
    load_columns<T, NV>(p.mean, panel.column, panel.width, T(0), mean);
    load_columns<T, NV>(p.linear_bias, panel.column, panel.width, T(0), linear_bias);
    for (int v = 0; v < NV; ++v) shift[v] = linear_bias[v] - mean[v];
  }
  for (int64_t r = 0; r < symbols.rows(); ++r) {
    const bool first = r < symbols.base[1];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      T* x = table.row(r) + v * kWidth<T>;
      const Vec<T> row = load(x);
      store(x, (first ? row + shift[v] : row) * invstd[v]);
    }
  }
}

// What G[t, s] is made of, for one panel of columns.
template <int NV, class T>
struct Coefficients {
  Vec<T> g[NV];       // weight * invstd
  Vec<T> bias[NV];    // dbias / N
  Vec<T> weight[NV];  // dweight / N
};

// Writes the gradients of weight and bias.
template <int NV, class T>
Coefficients<NV, T> sum_panel(const Backward& p, const TablePanel<T>& table, const TablePanel<T>& sums,
                              const SymbolRows& symbols, const Panel& panel) {
  Wide<T> bias[NV] = {}, weight[NV] = {};
  for (int64_t r = 0; r < symbols.rows(); ++r) {
    const bool first = r < symbols.base[1];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const Wide<T> d(load(sums.row(r) + v * kWidth<T>));
      weight[v] += d * Wide<T>(load(table.row(r) + v * kWidth<T>));
      if (first) bias[v] += d;
    }
  }
  Coefficients<NV, T> result;
  Vec<T> invstd[NV];
  load_columns<T, NV>(p.weight, panel.column, panel.width, T(1), result.g);
  load_columns<T, NV>(p.invstd, panel.column, panel.width, T(1), invstd);
  for (int v = 0; v < NV; ++v) {
    const int64_t column = panel.column + v * kWidth<T>, lanes = lanes_of<T, NV>(v, panel.width);
    const Vec<T> grad_bias = bias[v].narrowed(), grad_weight = weight[v].narrowed();
    if (p.grad_bias != nullptr) store_first(static_cast<T*>(p.grad_bias) + column, grad_bias, lanes);
    if (p.grad_weight != nullptr) store_first(static_cast<T*>(p.grad_weight) + column, grad_weight, lanes);
    result.g[v] *= invstd[v];
    result.bias[v] = grad_bias / T(p.shape.batch);
    result.weight[v] = grad_weight / T(p.shape.batch);
  }
  return result;
}

// D[r] becomes G[r], given X[r].
template <int NV, class T>
inline void finish_row_of_sums(const Coefficients<NV, T>& c, int32_t count, const Vec<T>* x, T* sums) {
  const T times = static_cast<T>(count);
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) {
    T* d = sums + v * kWidth<T>;
    store(d, c.g[v] * (load(d) - times * c.bias[v] - x[v] * c.weight[v]));
  }
}

// The same for all rows of a panel, where X is formed from pairs of rows.
template <int NV, class T>
void finish_by_pairs(const Coefficients<NV, T>& c, const TablePanel<T>& table, const TablePanel<T>& sums, int64_t rows,
                     const int32_t* counts, const RowPairs& pairs) {
  for (int64_t r = 0; r < rows; ++r) {
    Vec<T> x[NV];
    load_vectors<NV>(table.row(r), x);
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) x[v] *= T(counts[r]);
    for (int32_t i = pairs.begin[r]; i < pairs.begin[r + 1]; ++i) {
      const T* other = table.row(pairs.other[i]);
      const T times = static_cast<T>(pairs.times[i]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) x[v] += load(other + v * kWidth<T>) * times;
    }
    finish_row_of_sums<NV, T>(c, counts[r], x, sums.row(r));
  }
}

// The same where X is formed by a walk over the examples. `totals` has room for the rows of X.
template <int NV, class T>
void finish_by_examples(const Coefficients<NV, T>& c, const TablePanel<T>& table, const TablePanel<T>& sums,
                        const SymbolRows& symbols, int64_t batch, const int32_t* counts, const TablePanel<T>& totals) {
  const int64_t block = symbols.block;
  for (int64_t r = 0; r < symbols.rows(); ++r) fill_zero(totals.row(r), NV * kWidth<T>);
  for (int64_t n = 0; n < batch; ++n) {
    const int32_t* row_of = symbols.row_of + n * block;
    Vec<T> x[NV];
    load_vectors<NV>(table.row(row_of[0]), x);
    for (int64_t t = 1; t < block; ++t) {
      const T* row = table.row(row_of[t]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) x[v] += load(row + v * kWidth<T>);
    }
    for (int64_t t = 0; t < block; ++t) {
      T* total = totals.row(row_of[t]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) store(total + v * kWidth<T>, load(total + v * kWidth<T>) + x[v]);
    }
  }
  for (int64_t r = 0; r < symbols.rows(); ++r) {
    Vec<T> x[NV];
    load_vectors<NV>(totals.row(r), x);
    finish_row_of_sums<NV, T>(c, counts[r], x, sums.row(r));
  }
}

// The last part: from the sums of dz per symbol to the gradients of the linear layer and the embedding.
template <class T>
void finish_gradients(const Backward& p, const EmbeddingConcatLinearBackward& linear, const SymbolRows& symbols,
                      const T* sums, Context& context) {
  const GradientRows<T> of_symbols{sums, row_stride<T>(p.shape.hidden)};
  if (p.grad_linear_bias != nullptr) {
    bias_gradient(of_symbols, symbols.base[1], p.shape.hidden, static_cast<T*>(p.grad_linear_bias), context);
  }
  const auto rows_at = [&](int64_t t) { return symbols_of_position(symbols, of_symbols, t); };
  both_products<T>(linear, rows_at, smaller(p.shape.batch, p.shape.vocab), context);
}

// z in scratch memory, then dz in its place.
template <class T>
void backward_of_few(const Backward& p, Context& context) {
  const auto& shape = p.shape;
  const int64_t batch = shape.batch, hidden = shape.hidden, stride = row_stride<T>(hidden);
  const SymbolRows symbols = number_symbols(shape, p.tokens, context);
  T* const z = scratch_array<T>(context, batch * hidden);  // (N, H)
  {
    const Context::Mark before = context.mark();
    const EmbeddingConcatLinearForward product{shape,   p.tokens, p.embedding,       p.linear_weight,  p.linear_bias,
                                               nullptr, hidden,   Activation::kNone, Algorithm::kTable};
    const TableSums<T> sums{build_table<T>(product, symbols, stride, context), stride, symbols.row_of, shape.block,
                            hidden};
    sum_table_rows(sums, 0, batch, [=](int64_t n, int64_t h, Vec<T> value) {
      store_data(z + n * hidden + h, value, smaller(kWidth<T>, hidden - h));
    });
    context.return_to(before);
  }
  batch_norm_backward<T>({batch, hidden, hidden, z, p.output, p.grad_output, p.weight, p.mean, p.invstd, z,
                          p.grad_weight, p.grad_bias, p.training, p.activation},
                         context);
  const EmbeddingConcatLinearBackward linear{
      shape,  p.tokens,         p.embedding,          p.linear_weight,    nullptr,           z,
      hidden, p.grad_embedding, p.grad_linear_weight, p.grad_linear_bias, Activation::kNone, Algorithm::kTable};
  const int64_t others = product_elements<T>(linear, smaller(batch, shape.vocab));
  finish_gradients<T>(p, linear, symbols, sum_by_symbol<T, false>(linear, symbols, others, context), context);
}

template <class T, bool Tanh>
void backward(const Backward& p, Context& context) {
  const auto& shape = p.shape;
  const int64_t batch = shape.batch, block = shape.block, hidden = shape.hidden, stride = row_stride<T>(hidden);
  const SymbolRows symbols = number_symbols(shape, p.tokens, context);
  const int64_t rows = symbols.rows();
  const EmbeddingConcatLinearBackward linear{
      shape,  p.tokens,         p.embedding,          p.linear_weight,    p.output,     p.grad_output,
      hidden, p.grad_embedding, p.grad_linear_weight, p.grad_linear_bias, p.activation, Algorithm::kTable};
  const int64_t most_rows = smaller(batch, shape.vocab);
  const int64_t others =
      product_elements<T>(linear, most_rows) + 2 * rows * stride + packed_elements<T>(hidden, block * shape.embed);
  T* const sums = sum_by_symbol<T, Tanh>(linear, symbols, others, context);  // D, then G

  int32_t* counts = nullptr;
  RowPairs pairs = {};
  T* totals = nullptr;
  if (p.training) {
    counts = count_rows(symbols, batch, context);
    pairs = count_pairs(symbols, batch, ceil_div(hidden, kWidth<T>), 2 * block, context);
    if (pairs.begin == nullptr) totals = scratch_array<T>(context, rows * stride);
  }
  const EmbeddingConcatLinearForward product{shape,   p.tokens, p.embedding,       p.linear_weight,  nullptr,
                                             nullptr, hidden,   Activation::kNone, Algorithm::kTable};
  T* const table = build_table<T>(product, symbols, stride, context);

  const Panels<T> panels{hidden};
  const double walks = p.training ? double(batch) * block : 0;
  const double micros = (double(rows) * 8 + walks) * hidden * sizeof(T) / kBytesPerMicro;
  parallel_for(context, panels.count(), micros, [&](int64_t number) {
    with_panel(panels, number, [&](auto nv, const Panel& panel) {
      constexpr int NV = decltype(nv)::value;
      const TablePanel<T> xhat{table + panel.column, stride}, d{sums + panel.column, stride};
      normalise_panel<NV>(p, xhat, symbols, counts, panel);
      const Coefficients<NV, T> c = sum_panel<NV>(p, xhat, d, symbols, panel);
      if (!p.training) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int v = 0; v < NV; ++v) store(d.row(r) + v * kWidth<T>, load(d.row(r) + v * kWidth<T>) * c.g[v]);
        }
      } else if (pairs.begin != nullptr) {
        finish_by_pairs<NV>(c, xhat, d, rows, counts, pairs);
      } else {
        finish_by_examples<NV>(c, xhat, d, symbols, batch, counts, TablePanel<T>{totals + panel.column, stride});
      }
    });
  });

  finish_gradients<T>(p, linear, symbols, sums, context);
}

}  // namespace

template <class T>
void embedding_concat_linear_batch_norm_backward(const Backward& p, Context& context) {
  if (p.grad_embedding != nullptr) fill_zero(static_cast<T*>(p.grad_embedding), p.shape.vocab * p.shape.embed);
  if (p.shape.batch < kFewExamples) {
    backward_of_few<T>(p, context);
  } else if (p.activation == Activation::kTanh) {
    backward<T, true>(p, context);
  } else {
    backward<T, false>(p, context);
  }
}

template void embedding_concat_linear_batch_norm_backward<float>(const Backward&, Context&);
template void embedding_concat_linear_batch_norm_backward<double>(const Backward&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
