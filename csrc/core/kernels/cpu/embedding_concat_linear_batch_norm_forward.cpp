// y = activation((z - mean) * invstd * weight + bias) with z = concat_t(C[token_t]) @ W^T + b, by table. The statistics
// come from the table and from how often symbols occur; see embedding_concat_linear_batch_norm.h. Then each row of the
// table is scaled, the bias is added to the rows of position 0, and an example is the sum of `block` rows: z is never
// stored, and y is written once.
//
// Few examples are computed one by one: then z stands in the place of y for a while.
//
// The rounding of the variance: by pairs it is summed in double from rows that are centred and rounded to float. Where
// the positions cancel each other, z is small beside the rows, and its error is that of the rows, as it is where z
// itself is stored. For float64 there is no wider type, so the examples are walked over instead.
#include "kernels/cpu/embedding_concat_linear_batch_norm.h"

#include "kernels/cpu/batch_norm_chunks.h"
#include "kernels/cpu/gathered_rows.h"
#include "kernels/cpu/kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using Forward = EmbeddingConcatLinearBatchNormForward;

// squares[v] += the sum over the examples of (z - mean)^2, by a walk over the examples.
template <int NV, class T>
void add_squares_of_examples(const TablePanel<T>& table, const SymbolRows& symbols, int64_t batch, Wide<T>* squares) {
  constexpr int64_t kRows = 64;  // summed in T, before they are added in double
  for (int64_t first = 0; first < batch; first += kRows) {
    Vec<T> sums[NV] = {};
    for (int64_t n = first; n < smaller(first + kRows, batch); ++n) {
      const int32_t* row_of = symbols.row_of + n * symbols.block;
      Vec<T> z[NV];
      load_vectors<NV>(table.row(row_of[0]), z);
      for (int64_t t = 1; t < symbols.block; ++t) {
        const T* row = table.row(row_of[t]);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) z[v] += load(row + v * kWidth<T>);
      }
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) sums[v] += z[v] * z[v];
    }
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) squares[v] += Wide<T>(sums[v]);
  }
}

// The same by pairs of rows.
template <int NV, class T>
void add_squares_of_pairs(const TablePanel<T>& table, const int32_t* counts, const RowPairs& pairs, int64_t rows,
                          Wide<T>* squares) {
  for (int64_t r = 0; r < rows; ++r) {
    Wide<T> others[NV] = {};
    for (int32_t i = pairs.from[r]; i < pairs.begin[r + 1]; ++i) {
      const T* other = table.row(pairs.other[i]);
      const double times = pairs.times[i];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) others[v] += Wide<T>(load(other + v * kWidth<T>)) * times;
    }
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const Wide<T> x(load(table.row(r) + v * kWidth<T>));
      others[v] = others[v] * 2.0;
      others[v] += x * double(counts[r]);
      squares[v] += x * others[v];
    }
  }
}

// Centres one panel of the table, and writes the statistics of its columns.
template <int NV, class T>
void panel_statistics(const Forward& p, const TablePanel<T>& table, const SymbolRows& symbols, const int32_t* counts,
                      const RowPairs& pairs, const Panel& panel) {
  const int64_t batch = p.shape.batch;
  Wide<T> mean[NV] = {}, squares[NV] = {};
  centre_panel<NV>(table, symbols, counts, batch, mean);
  if (pairs.begin != nullptr) {
    add_squares_of_pairs<NV>(table, counts, pairs, symbols.rows(), squares);
  } else {
    add_squares_of_examples<NV>(table, symbols, batch, squares);
  }
  Vec<T> linear_bias[NV];
  load_columns<T, NV>(p.linear_bias, panel.column, panel.width, T(0), linear_bias);
  T* const running_mean = static_cast<T*>(p.running_mean);
  T* const running_var = static_cast<T*>(p.running_var);
  const T momentum = static_cast<T>(p.momentum);
  for (int v = 0; v < NV; ++v) {
    const int64_t column = panel.column + v * kWidth<T>, lanes = lanes_of<T, NV>(v, panel.width);
    const Vec<T> of_z = mean[v].narrowed() + linear_bias[v];
    const Vec<T> sum = squares[v].narrowed();
    const Vec<T> deviations = sum < T(0) ? Vec<T>{} : sum;  // where all examples are alike, rounding may go below 0
    const Vec<T> variance = deviations / T(batch);
    store_first(static_cast<T*>(p.mean) + column, of_z, lanes);
    store_first(static_cast<T*>(p.invstd) + column, T(1) / square_roots(variance + T(p.eps)), lanes);
    if (running_mean != nullptr) {
      const Vec<T> old = load_first(running_mean + column, lanes);
      store_first(running_mean + column, old * (T(1) - momentum) + of_z * momentum, lanes);
    }
    if (running_var != nullptr) {
      const Vec<T> old = load_first(running_var + column, lanes), unbiased = deviations / T(batch - 1);
      store_first(running_var + column, old * (T(1) - momentum) + unbiased * momentum, lanes);
    }
  }
}

// Scales one panel of the table, and adds to the rows of position 0 what is added to an example once: first `shift`
// before scaling, then the bias.
template <int NV, class T>
void scale_panel(const Forward& p, const TablePanel<T>& table, const SymbolRows& symbols, const Panel& panel) {
  Vec<T> invstd[NV], weight[NV], bias[NV], shift[NV] = {};
  load_columns<T, NV>(p.invstd, panel.column, panel.width, T(1), invstd);
  load_columns<T, NV>(p.weight, panel.column, panel.width, T(1), weight);
  load_columns<T, NV>(p.bias, panel.column, panel.width, T(0), bias);
  if (!p.training) {  // the rows are not centred
    Vec<T> mean[NV], linear_bias[NV];
    load_columns<T, NV>(p.mean, panel.column, panel.width, T(0), mean);
    load_columns<T, NV>(p.linear_bias, panel.column, panel.width, T(0), linear_bias);
    for (int v = 0; v < NV; ++v) shift[v] = linear_bias[v] - mean[v];
  }
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) weight[v] *= invstd[v];
  for (int64_t r = 0; r < symbols.base[1]; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      T* x = table.row(r) + v * kWidth<T>;
      store(x, (load(x) + shift[v]) * weight[v] + bias[v]);
    }
  }
  for (int64_t r = symbols.base[1]; r < symbols.rows(); ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      T* x = table.row(r) + v * kWidth<T>;
      store(x, load(x) * weight[v]);
    }
  }
}

// z in the place of y, then batch norm over it.
template <class T>
void forward_of_few(const Forward& p, Context& context) {
  const auto& shape = p.shape;
  embedding_concat_linear_forward<T>({shape, p.tokens, p.embedding, p.linear_weight, p.linear_bias, p.output,
                                      shape.hidden, Activation::kNone, Algorithm::kTable},
                                     context);
  batch_norm_forward<T>({shape.batch, shape.hidden, shape.hidden, p.output, p.output, p.weight, p.bias, p.mean,
                         p.invstd, p.running_mean, p.running_var, p.training, p.momentum, p.eps, p.activation},
                        context);
}

template <class T, bool Tanh>
void forward(const Forward& p, Context& context) {
  const auto& shape = p.shape;
  const int64_t batch = shape.batch, block = shape.block, hidden = shape.hidden, stride = row_stride<T>(hidden);
  const SymbolRows symbols = number_symbols(shape, p.tokens, context);
  const int32_t* counts = nullptr;
  RowPairs pairs = {};
  if (p.training) {
    counts = count_rows(symbols, batch, context);
    if constexpr (sizeof(T) == sizeof(float)) {
      pairs = count_pairs(symbols, batch, ceil_div(hidden, kWidth<T>), block, context);
    }
  }
  const EmbeddingConcatLinearForward product{shape,   p.tokens, p.embedding,       p.linear_weight,
                                             nullptr,  // the bias shifts the mean alone
                                             nullptr, hidden,   Activation::kNone, Algorithm::kTable};
  T* const table = build_table<T>(product, symbols, stride, context);

  const Panels<T> panels{hidden};
  const double walks = p.training ? double(batch) * block : 0;
  const double table_micros = (double(symbols.rows()) * 8 + walks) * hidden * sizeof(T) / kBytesPerMicro;
  parallel_for(context, panels.count(), table_micros, [&](int64_t number) {
    with_panel(panels, number, [&](auto nv, const Panel& panel) {
      constexpr int NV = decltype(nv)::value;
      const TablePanel<T> own{table + panel.column, stride};
      if (p.training) panel_statistics<NV>(p, own, symbols, counts, pairs, panel);
      scale_panel<NV>(p, own, symbols, panel);
    });
  });

  const TableSums<T> sums{table, stride, symbols.row_of, block, hidden};
  T* const output = static_cast<T*>(p.output);
  constexpr int64_t kRows = 64;
  const double micros = double(batch) * hidden * (block * 2 + 20) / kFlopsPerMicro;
  parallel_for(context, ceil_div(batch, kRows), micros, [&](int64_t task) {
    const int64_t first = task * kRows, end = smaller(first + kRows, batch);
    sum_table_rows(sums, first, end, [=](int64_t n, int64_t h, Vec<T> y) {
      store_data(output + n * hidden + h, Tanh ? tanh(y) : y, smaller(kWidth<T>, hidden - h));
    });
  });
}

}  // namespace

template <class T>
void embedding_concat_linear_batch_norm_forward(const Forward& p, Context& context) {
  if (p.shape.batch < kFewExamples) {
    forward_of_few<T>(p, context);
  } else if (p.activation == Activation::kTanh) {
    forward<T, true>(p, context);
  } else {
    forward<T, false>(p, context);
  }
}

template void embedding_concat_linear_batch_norm_forward<float>(const Forward&, Context&);
template void embedding_concat_linear_batch_norm_forward<double>(const Forward&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
