// The GPT's forward pass over a piece of the forest, layer by layer.
#include "engine/gpt/cpu/layer_norm.h"
#include "engine/gpt/cpu/passes.h"
#include "kernels/cpu/gelu.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

template <class T>
void embed_nodes(const GptParameters<T>& p, const engine::ForestPiece& piece, const Rows<T>& x) {
  const int64_t stride = padded<T>(p.network.embed);
  for (int64_t i = 0; i < piece.nodes; ++i) {
    const T* token = p.values + p.layout.token + piece.symbol[i] * stride;
    const T* position = p.values + p.layout.position + piece.depth[i] * stride;
    for (int64_t c = 0; c < stride; c += kWidth<T>) store(x.row(i) + c, load(token + c) + load(position + c));
  }
}

// store_at(row, column, value): the vectors of x @ weight + bias.
template <class T, class Store>
void linear_rows(const GptParameters<T>& p, const GptLinear& linear, const Rows<T>& x, int64_t count,
                 const Store& store_at) {
  const T* bias = p.values + linear.bias;
  multiply_panels<T>(x, count, {linear.inputs, linear.outputs}, p.values + linear.weight,
                     [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                       for (int v = 0; v < decltype(nv)::value; ++v) {
                         const int64_t at = column + v * kWidth<T>;
                         store_at(r, at, sums[v] + load(bias + at));
                       }
                     });
}

template <class T>
void add_linear_rows(const GptParameters<T>& p, const GptLinear& linear, const Rows<T>& x, int64_t count,
                     const Rows<T>& sum) {
  linear_rows(p, linear, x, count, [=](int64_t r, int64_t c, Vec<T> value) {
    T* at = sum.row(r) + c;
    store(at, load(at) + value);
  });
}

template <class T>
void gelu_rows(const Rows<T>& x, int64_t count, int64_t columns, const Rows<T>& slope, bool training) {
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      const ValueAndSlope<T> result = gelu_with_slope<T>(load(x.row(r) + c));
      store(x.row(r) + c, result.value);
      if (training) store(slope.row(r) + c, result.slope);
    }
  }
}

template <class T>
void attend_nodes(const GptParameters<T>& p, const engine::ForestPiece& piece, PieceMemory<T>& m,
                  LayerActivations<T>& layer) {
  const int64_t head_size = p.network.embed / p.network.heads;
  const AttentionShape shape{p.network.embed, p.network.heads, head_size, m.positions};
  const AttentionRows<T> rows{layer.projections, layer.attended,         {},
                              layer.p.data(),    m.p_begin.data(),       m.columns.data(),
                              m.rows.data(),     m.key_gradients.data(), m.value_gradients.data()};
  if (head_size % kWidth<T> == 0) {
    attention_forward<true>(piece, shape, rows);
  } else {
    attention_forward<false>(piece, shape, rows);
  }
}

}  // namespace

template <class T>
void gpt_forward(const GptParameters<T>& p, const engine::ForestPiece& piece, PieceMemory<T>& m, bool training) {
  const int64_t embed = p.network.embed, nodes = piece.nodes;
  const double eps = p.network.eps;
  m.begin_piece(p.network, piece);
  embed_nodes<T>(p, piece, m.x);
  for (int64_t l = 0; l < p.network.layers; ++l) {
    const GptLayer& layer = p.layout.layers.data()[l];
    LayerActivations<T>& kept = *m.layers.data()[training ? l : 0];
    layer_norm<T>(m.x, nodes, embed, eps, p.values + layer.norm_1.weight, p.values + layer.norm_1.bias, kept.xhat_1,
                  kept.rstd_1.data(), m.y);
    const Rows<T> projections = kept.projections, hidden = kept.hidden;
    linear_rows<T>(p, layer.projections, m.y, nodes,
                   [=](int64_t r, int64_t c, Vec<T> value) { store(projections.row(r) + c, value); });
    attend_nodes(p, piece, m, kept);
    add_linear_rows<T>(p, layer.output, kept.attended, nodes, m.x);
    layer_norm<T>(m.x, nodes, embed, eps, p.values + layer.norm_2.weight, p.values + layer.norm_2.bias, kept.xhat_2,
                  kept.rstd_2.data(), m.y);
    linear_rows<T>(p, layer.linear_1, m.y, nodes,
                   [=](int64_t r, int64_t c, Vec<T> value) { store(hidden.row(r) + c, value); });
    gelu_rows<T>(hidden, nodes, p.network.hidden, kept.slope, training);
    add_linear_rows<T>(p, layer.linear_2, hidden, nodes, m.x);
  }
  layer_norm<T>(m.x, nodes, embed, eps, p.values + p.layout.norm.weight, p.values + p.layout.norm.bias, m.xhat,
                m.rstd.data(), m.normed);
  const Rows<T> normed = m.normed, logits = m.logits;
  multiply_rows<T>(normed.data, normed.stride, nodes, p.values + p.layout.head, padded<T>(embed), p.network.vocab,
                   embed, [=](int64_t r, int64_t symbol, T product) { logits.row(r)[symbol] = product; });
}

template void gpt_forward(const GptParameters<float>&, const engine::ForestPiece&, PieceMemory<float>&, bool);
template void gpt_forward(const GptParameters<double>&, const engine::ForestPiece&, PieceMemory<double>&, bool);

}  // namespace namegen::cpu::NAMEGEN_ISA
