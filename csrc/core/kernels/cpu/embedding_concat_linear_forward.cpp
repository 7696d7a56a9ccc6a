// y = activation(concat_t(C[token_t]) @ W^T + b).
//
// By table: a token takes one of V values, so position t adds one of V rows, P[t, s] = C[s] @ W_t^T. Only the rows of
// symbols that occur are formed. An example is then the sum of `block` rows. The plain product is taken where symbols
// hardly repeat. Both ways form the same sums, in another order.
#include "kernels/cpu/embedding_concat_linear_table.h"
#include "kernels/cpu/gathered_rows.h"

#include "kernels/cpu/kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using Forward = EmbeddingConcatLinearForward;

// Up to so many rows the plain product takes dot products with W as it lies. Packing W would cost more than it saves.
constexpr int64_t kDotRows = 32;
constexpr int64_t kDotMinDepth = 64;

// y[n] = activation(sum over t of table[row(n, t)]).
template <class Data, bool Tanh>
void forward_by_table(const Forward& p, const SymbolRows& symbols, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, hidden = p.shape.hidden;
  const int64_t stride = row_stride<T>(hidden);
  const TableSums<T> sums{build_table<T>(p, symbols, stride, context), stride, symbols.row_of, block, hidden};
  Data* const output = static_cast<Data*>(p.output);
  const int64_t output_stride = p.output_stride;
  constexpr int64_t kRows = 64;
  const double micros = double(batch) * hidden * (block * 2 + 20) / kFlopsPerMicro;
  parallel_for(context, ceil_div(batch, kRows), micros, [&](int64_t task) {
    const int64_t first = task * kRows, end = smaller(first + kRows, batch);
    sum_table_rows(sums, first, end, [=](int64_t n, int64_t h, Vec<T> z) {
      store_data(output + n * output_stride + h, Tanh ? tanh(z) : z, smaller(kWidth<T>, hidden - h));
    });
  });
}

// For few rows: z[n, h] = x[n] . W[h]. Both operands are read as they lie, and the sum over k runs in vectors.
template <class Data, bool Tanh>
void forward_by_dots(const Forward& p, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, embed = p.shape.embed, hidden = p.shape.hidden;
  const int64_t k_count = block * embed;
  const T* embedding = static_cast<const T*>(p.embedding);
  const T* weight = static_cast<const T*>(p.linear_weight);
  const T* bias = static_cast<const T*>(p.linear_bias);
  T* x = scratch_array<T>(context, batch * k_count);  // (N, T*E)
  for (int64_t i = 0; i < batch * block; ++i) {
    __builtin_memcpy(x + i * embed, embedding + p.tokens[i] * embed, embed * sizeof(T));
  }
  constexpr int kExamples = kRegisters == 32 ? 4 : 2;
  constexpr int64_t kColumns = kWidth<T>;
  parallel_for(context, ceil_div(hidden, kColumns), 2.0 * batch * k_count * hidden / kFlopsPerMicro, [&](int64_t task) {
    const int64_t h0 = task * kColumns, columns = smaller(kColumns, hidden - h0);
    T z[kDotRows][kColumns];
    for (int64_t j = 0; j < columns; j += 4) {
      const T* w[4];
      for (int64_t c = 0; c < 4; ++c) w[c] = weight + (h0 + smaller(j + c, columns - 1)) * k_count;
      for (int64_t n = 0; n < batch; n += kExamples) {
        const T* a[kExamples];
        for (int64_t i = 0; i < kExamples; ++i) a[i] = x + smaller(n + i, batch - 1) * k_count;
        Vec<T> sums[kExamples][4] = {};
        const auto add = [&](int64_t k, auto read) {
          Vec<T> ws[4];
#pragma GCC unroll 4
          for (int c = 0; c < 4; ++c) ws[c] = read(w[c] + k);
#pragma GCC unroll 4
          for (int i = 0; i < kExamples; ++i) {
            const Vec<T> value = read(a[i] + k);
#pragma GCC unroll 4
            for (int c = 0; c < 4; ++c) sums[i][c] += value * ws[c];
          }
        };
        int64_t k = 0;
        for (; k + kWidth<T> <= k_count; k += kWidth<T>) add(k, [](const T* q) { return load(q); });
        if (k < k_count) add(k, [&](const T* q) { return load_first(q, k_count - k); });
        for (int64_t i = 0; i < kExamples; ++i) {
          if (n + i >= batch) break;
          for (int64_t c = 0; c < 4; ++c) {
            if (j + c < columns) z[n + i][j + c] = sum_lanes<T>(sums[i][c]);
          }
        }
      }
    }
    for (int64_t n = 0; n < batch; ++n) {
      const Vec<T> row = load_first(z[n], columns);
      finish_row<Data, Tanh, 1>(&row, bias == nullptr ? nullptr : bias + h0, columns,
                                static_cast<Data*>(p.output) + n * p.output_stride + h0);
    }
  });
}

// z = x @ W^T in register tiles. The rows of x are read where they lie in the embedding.
template <class Data, bool Tanh>
void forward_by_product(const Forward& p, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, embed = p.shape.embed, hidden = p.shape.hidden;
  const T* embedding = static_cast<const T*>(p.embedding);
  const T* bias = static_cast<const T*>(p.linear_bias);
  const Panels<T> panels{hidden};
  constexpr int64_t kRows = 8 * kTileRows<kTileVectors>;
  by_panels_of_weight<T>(p, context, [&](int64_t first_panel, int64_t end_panel, const auto& packed) {
    const double micros = 2.0 * batch * block * embed * (end_panel - first_panel) * kPanel<T> / kFlopsPerMicro;
    parallel_for(context, ceil_div(batch, kRows), micros, [&](int64_t task) {
      const int64_t first = task * kRows, end = smaller(first + kRows, batch);
      for_panels(panels, first_panel, end_panel, [&](auto nv, const Panel& panel) {
        constexpr int NV = decltype(nv)::value;
        const PackedRows<T, NV> b{packed(panel.number)};
        for_tiles<NV>(first, end, [&](int64_t n, int64_t count) {
          const auto a_of = [&](int64_t t) {
            return rows_of_a<T>(count, [&](int64_t i) { return embedding + p.tokens[(n + i) * block + t] * embed; });
          };
          tile_of<NV, T>(count, block, embed, a_of, b, [&](int i, const Vec<T>* sums) {
            finish_row<Data, Tanh, NV>(sums, bias == nullptr ? nullptr : bias + panel.column, panel.width,
                                       static_cast<Data*>(p.output) + (n + i) * p.output_stride + panel.column);
          });
        });
      });
    });
  });
}

template <class Data, bool Tanh>
void forward(const Forward& p, Context& context) {
  if (may_use_table(p.shape, p.algorithm, context)) {
    const Context::Mark before = context.mark();
    const SymbolRows symbols = number_symbols(p.shape, p.tokens, context);
    // The plain way costs an example T*E products per output. The table costs it T additions, worth about 1.5 products
    // each.
    const double table = double(symbols.rows()) * p.shape.embed + 1.5 * p.shape.batch * p.shape.block;
    const double plain = double(p.shape.batch) * p.shape.block * p.shape.embed;
    using T = Compute<Data>;
    const int64_t others = packed_elements<T>(p.shape.hidden, p.shape.block * p.shape.embed) +
                           RowTiles::most_of(symbols) * int64_t(2 * sizeof(int64_t) / sizeof(T));
    if (p.algorithm == Algorithm::kTable ||
        (table < plain && table_fits<Data>(p.shape, symbols.rows(), p.activation, others, context))) {
      return forward_by_table<Data, Tanh>(p, symbols, context);
    }
    context.return_to(before);
  }
  if (p.shape.batch <= kDotRows && p.shape.block * p.shape.embed >= kDotMinDepth) {
    return forward_by_dots<Data, Tanh>(p, context);
  }
  forward_by_product<Data, Tanh>(p, context);
}

}  // namespace

template <class Data>
void embedding_concat_linear_forward(const Forward& p, Context& context) {
  if (p.shape.batch == 0 || p.shape.hidden == 0) return;
  if (p.activation == Activation::kTanh) {
    forward<Data, true>(p, context);
  } else {
    forward<Data, false>(p, context);
  }
}

template void embedding_concat_linear_forward<float>(const Forward&, Context&);
template void embedding_concat_linear_forward<double>(const Forward&, Context&);
template void embedding_concat_linear_forward<BFloat16>(const Forward&, Context&);
template void embedding_concat_linear_forward<Float16>(const Forward&, Context&);

}  // namespace namegen::cpu::NAMEGEN_ISA
