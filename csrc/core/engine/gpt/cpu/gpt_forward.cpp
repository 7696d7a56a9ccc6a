// The GPT's forward pass over a piece of the forest, layer by layer.
#include "engine/gpt/cpu/activations.h"
#include "engine/gpt/cpu/gpt_passes.h"
#include "engine/gpt/cpu/linear_rows.h"

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

// Normalises the embeddings in place.
template <class T>
void normalise_embeddings(const GptParameters<T>& p, int64_t nodes, PieceMemory<T>& m) {
  const int64_t embed = p.network.embed;
  const Rows<T> x = m.x;
  const Rows<T> normed =
      normalise_rows<T>(p.norm(p.layout.embedding_norm), x, nodes, embed, m.embedded_xhat, m.embedded_rstd.data(), x);
  if (normed.data == x.data) return;
  for (int64_t r = 0; r < nodes; ++r) copy_row(normed.row(r), padded<T>(embed), x.row(r));
}

template <class T>
void activate_rows(GptActivation activation, const Rows<T>& x, int64_t count, int64_t columns, const Rows<T>& slope,
                   bool training) {
  with_activation<T>(activation, [&](const auto& activated) {
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t c = 0; c < columns; c += kWidth<T>) {
        const ValueAndSlope<T> result = activated(load(x.row(r) + c));
        store(x.row(r) + c, result.value);
        if (training) store(slope.row(r) + c, result.slope);
      }
    }
  });
}

template <class T>
void attend_nodes(const GptParameters<T>& p, const engine::ForestPiece& piece, int64_t first, int64_t end,
                  PieceMemory<T>& m, LayerActivations<T>& layer) {
  const int64_t head_size = p.network.embed / p.network.heads;
  const AttentionShape shape{p.network.embed, p.network.heads, head_size};
  const AttentionRows<T> rows{layer.projections, layer.attended,         {},
                              layer.p.data(),    m.p_begin.data(),       m.keys.data(),
                              m.values.data(),   m.key_gradients.data(), m.value_gradients.data()};
  attend_forward(piece, first, end, shape, rows);
}

// One layer of nodes [first, end) of a piece.
template <class T>
void layer_forward(const GptParameters<T>& p, const GptLayer& layer, const engine::ForestPiece& piece, int64_t first,
                   int64_t end, PieceMemory<T>& m, LayerActivations<T>& kept, bool training) {
  const int64_t embed = p.network.embed, count = end - first;
  const auto block = [=](const Rows<T>& rows) { return rows.from(first); };
  const Rows<T> x = block(m.x), y = m.y, projections = block(kept.projections), hidden = block(kept.hidden);
  const Rows<T> normed_1 =
      normalise_rows<T>(p.norm(layer.norm_1), x, count, embed, block(kept.xhat_1), kept.rstd_1.data() + first, y);
  linear_rows<T>(p, layer.projections, normed_1, count,
                 [=](int64_t r, int64_t c, Vec<T> value) { store(projections.row(r) + c, value); });
  attend_nodes(p, piece, first, end, m, kept);
  add_linear_rows<T>(p, layer.output, block(kept.attended), count, x);
  const Rows<T> normed_2 =
      normalise_rows<T>(p.norm(layer.norm_2), x, count, embed, block(kept.xhat_2), kept.rstd_2.data() + first, y);
  linear_rows<T>(p, layer.linear_1, normed_2, count,
                 [=](int64_t r, int64_t c, Vec<T> value) { store(hidden.row(r) + c, value); });
  activate_rows<T>(p.network.activation, hidden, count, p.network.hidden, block(kept.slope), training);
  add_linear_rows<T>(p, layer.linear_2, hidden, count, x);
}

}  // namespace

template <class T>
void gpt_forward(const GptParameters<T>& p, const engine::ForestPiece& piece, PieceMemory<T>& m, bool training) {
  const int64_t embed = p.network.embed, nodes = piece.nodes;
  m.begin_piece(p.network, piece);
  embed_nodes<T>(p, piece, m.x);
  if (p.network.embedding_norm) normalise_embeddings(p, nodes, m);
  for (int64_t l = 0; l < p.network.layers; ++l) {
    for (int64_t first = 0; first < nodes; first += kBlockNodes) {
      layer_forward(p, p.layout.layers.data()[l], piece, first, smaller(first + kBlockNodes, nodes), m,
                    *m.layers.data()[training ? l : 0], training);
    }
  }
  m.head_input = m.x;
  if (p.network.final_norm) {
    m.head_input = normalise_rows<T>(p.norm(p.layout.norm), m.x, nodes, embed, m.xhat, m.rstd.data(), m.normed);
  }
  const Rows<T> input = m.head_input, logits = m.logits;
  multiply_rows<T>(input.data, input.stride, nodes, p.values + p.layout.head, padded<T>(embed), p.network.vocab, embed,
                   [=](int64_t r, int64_t symbol, T product) { logits.row(r)[symbol] = product; });
}

template void gpt_forward(const GptParameters<float>&, const engine::ForestPiece&, PieceMemory<float>&, bool);
template void gpt_forward(const GptParameters<double>&, const engine::ForestPiece&, PieceMemory<double>&, bool);

}  // namespace namegen::cpu::NAMEGEN_ISA
