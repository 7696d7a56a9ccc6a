// The gradients of embedding_concat_linear, with d = dy * (1 - y^2) for tanh and d = dy without:
//
//   db = sum_n d[n],  dW_t = sum_n d[n]^T C[token(n, t)],  dC[s] = sum_{n, t: token(n, t) = s} d[n] @ W_t.
//
// By table: d is summed first over the examples that share a symbol at a position, to G[t, s]. Both products then run
// over the symbols that occur, not over the examples. Where symbols hardly repeat, the plain way takes the same two
// products over the examples themselves. Sums are cut into chunks that depend on the shapes alone and are merged in
// order, so the bits are the same for any number of threads.
#include "kernels/cpu/embedding_concat_linear_gradients.h"
#include "kernels/cpu/kernel_table.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

using Backward = EmbeddingConcatLinearBackward;

// d of every example, (N, H). It is not padded, so it takes no more memory than the unfused layers take for it. Where d
// is dy itself, dy is used as it lies.
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

template <class Data, bool Tanh>
void backward(const Backward& p, Context& context) {
  using T = Compute<Data>;
  const int64_t batch = p.shape.batch, block = p.shape.block, embed = p.shape.embed, hidden = p.shape.hidden;
  T* grad_bias = static_cast<T*>(p.grad_linear_bias);
  if (may_use_table(p.shape, p.algorithm, context)) {
    const Context::Mark before = context.mark();
    const SymbolRows symbols = number_symbols(p.shape, p.tokens, context);
    // The plain way costs two products of E lanes (in whole vectors) for each example and position. The table costs
    // these for each of its rows, and two additions for each example and position.
    const double padded = double(Panels<T>{embed}.padded());
    const double table = 2 * double(symbols.rows()) * padded + 2.0 * batch * block;
    const double plain = 2 * double(batch) * block * padded;
    const int64_t most_rows = smaller(batch, p.shape.vocab), others = product_elements<T>(p, most_rows);
    if (p.algorithm == Algorithm::kTable ||
        (table < plain && table_fits<Data>(p.shape, symbols.rows(), p.activation, others, context))) {
      const GradientRows<T> d{sum_by_symbol<Data, Tanh>(p, symbols, others, context), row_stride<T>(hidden)};
      if (grad_bias != nullptr) bias_gradient(d, symbols.base[1], hidden, grad_bias, context);
      const auto rows_at = [&](int64_t t) { return symbols_of_position(symbols, d, t); };
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
