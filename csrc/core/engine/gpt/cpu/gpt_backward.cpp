// The backward pass of the GPT over one piece of the forest: from the gradients of the logits to those of all
// parameters.
#include "engine/gpt/cpu/gpt_passes.h"

namespace namegen::cpu::NAMEGEN_ISA {
namespace {

template <class T>
struct Gradients {
  T* data;
  bool begin;  // true: the gradients of the weights in panels are written; false: they are added to
  T* at(int64_t offset) const { return offset < 0 ? nullptr : data + offset; }
  NormGradients<T> norm(const GptNorm& norm) const { return {at(norm.weight), at(norm.bias)}; }
};

// The gradients of a linear's weight and bias, from its input x and the gradient dy of its output.
template <class T>
void linear_gradients(const GptLinear& linear, const Rows<T>& x, const Rows<T>& dy, int64_t count,
                      const Gradients<T>& gradients) {
  accumulate_product<T>(x, dy, count, {linear.inputs, linear.outputs}, gradients.data + linear.weight, gradients.begin);
  if (linear.bias >= 0) add_row_sums(dy, count, linear.outputs, gradients.data + linear.bias);
}

// store_at(row, column, value): the vectors of dy @ weight^T, the gradient of a linear's input.
template <class T, class Store>
void input_gradients(const GptParameters<T>& p, const GptLinear& linear, const Rows<T>& dy, int64_t count,
                     const Store& store_at) {
  multiply_panels<T>(dy, count, {linear.outputs, linear.inputs}, p.transposed + linear.transposed,
                     [=](int64_t r, int64_t column, auto nv, const Vec<T>* sums) {
#pragma GCC unroll 4
                       for (int v = 0; v < decltype(nv)::value; ++v) store_at(r, column + v * kWidth<T>, sums[v]);
                     });
}

template <class T>
void attention_gradients(const GptParameters<T>& p, const engine::ForestPiece& piece, int64_t first, int64_t end,
                         PieceMemory<T>& m, const LayerActivations<T>& kept) {
  const int64_t head_size = p.network.embed / p.network.heads;
  const AttentionShape shape{p.network.embed, p.network.heads, head_size};
  const Rows<T> y = m.y, wide = m.wide;
  // The buffers hold rows of this block alone.
  const AttentionRows<T> rows{kept.projections, y.from(-first),         wide.from(-first),
                              kept.p.data(),    m.p_begin.data(),       m.keys.data(),
                              m.values.data(),  m.key_gradients.data(), m.value_gradients.data()};
  attend_backward(piece, first, end, shape, rows, m.ds.data());
}

// Takes nodes [first, end) of a piece back through one layer. Before the call dx is the gradient of the layer's output,
// after it the gradient of the layer's input.
template <class T>
void layer_backward(const GptParameters<T>& p, const GptLayer& layer, const engine::ForestPiece& piece, int64_t first,
                    int64_t end, PieceMemory<T>& m, LayerActivations<T>& kept, const Gradients<T>& gradients) {
  const int64_t embed = p.network.embed, count = end - first;
  const auto block = [=](const Rows<T>& rows) { return rows.from(first); };
  const Rows<T> dx = block(m.x), y = m.y, wide = m.wide, slope = block(kept.slope);
  const Rows<T> xhat_1 = block(kept.xhat_1), xhat_2 = block(kept.xhat_2);
  const Norm<T> norm_1 = p.norm(layer.norm_1), norm_2 = p.norm(layer.norm_2);
  const auto store_y = [=](int64_t r, int64_t c, Vec<T> value) { store(y.row(r) + c, value); };

  linear_gradients<T>(layer.linear_2, block(kept.hidden), dx, count, gradients);
  input_gradients<T>(p, layer.linear_2, dx, count, [=](int64_t r, int64_t c, Vec<T> value) {
    store(wide.row(r) + c, value * load(slope.row(r) + c));
  });
  linear_gradients<T>(layer.linear_1, scaled_rows(norm_2, xhat_2, count, embed, y), wide, count, gradients);
  input_gradients<T>(p, layer.linear_1, wide, count, store_y);
  norm_backward<true, T>(norm_2, y, count, embed, xhat_2, kept.rstd_2.data() + first, gradients.norm(layer.norm_2), dx);

  linear_gradients<T>(layer.output, block(kept.attended), dx, count, gradients);
  input_gradients<T>(p, layer.output, dx, count, store_y);
  attention_gradients(p, piece, first, end, m, kept);
  linear_gradients<T>(layer.projections, scaled_rows(norm_1, xhat_1, count, embed, y), wide, count, gradients);
  input_gradients<T>(p, layer.projections, wide, count, store_y);
  norm_backward<true, T>(norm_1, y, count, embed, xhat_1, kept.rstd_1.data() + first, gradients.norm(layer.norm_1), dx);
}

template <class T>
void head_backward(const GptParameters<T>& p, const engine::ForestPiece& piece, PieceMemory<T>& m,
                   const Gradients<T>& gradients) {
  const int64_t embed = p.network.embed, stride = padded<T>(embed), vocab = p.network.vocab, nodes = piece.nodes;
  const Rows<T> dlogits = m.logits, input = m.head_input, x = m.x;
  // The head's gradient is added to, because a tied head is also the token embedding.
  T* head = gradients.data + p.layout.head;
  for_each_panel<T>(stride, [&](auto nv, const Panel& panel) {
    constexpr int NV = decltype(nv)::value;
    const int64_t first = panel.column;
    for (int64_t r0 = 0; r0 < nodes; r0 += kGradientRows) {
      const WholeRows<T, NV> rows_of_b{input.row(r0) + first, input.stride};
      for (int64_t i0 = 0, tile; i0 < vocab; i0 += tile) {
        tile = tile_rows<NV>(vocab - i0);
        const auto a_of = [&](int64_t) { return ColumnsOfA<T>{dlogits.row(r0) + i0, dlogits.stride}; };
        T* at = head + i0 * stride + first;
        tile_of<NV, T>(tile, 1, smaller(kGradientRows, nodes - r0), a_of, rows_of_b, [=](int i, const Vec<T>* sums) {
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) {
            T* to = at + i * stride + v * kWidth<T>;
            store(to, load(to) + sums[v]);
          }
        });
      }
    }
  });
  multiply_padded<T>(dlogits, nodes, vocab, p.values + p.layout.head, stride, stride, StoreRows<T>{x.data, x.stride});
  if (p.network.final_norm) {
    norm_backward<false, T>(p.norm(p.layout.norm), x, nodes, embed, m.xhat, m.rstd.data(),
                            gradients.norm(p.layout.norm), x);
  }
}

template <class T>
void embedding_backward(const GptParameters<T>& p, const engine::ForestPiece& piece, const Rows<T>& dx, T* gradients) {
  const int64_t stride = padded<T>(p.network.embed);
  for (int64_t i = 0; i < piece.nodes; ++i) {
    T* token = gradients + p.layout.token + piece.symbol[i] * stride;
    T* position = gradients + p.layout.position + piece.depth[i] * stride;
    for (int64_t c = 0; c < stride; c += kWidth<T>) {
      const Vec<T> d = load(dx.row(i) + c);
      store(token + c, load(token + c) + d);
      store(position + c, load(position + c) + d);
    }
  }
}

}  // namespace

template <class T>
void gpt_backward(const GptParameters<T>& p, const engine::ForestPiece& piece, PieceMemory<T>& m, T* gradients,
                  bool begin) {
  head_backward(p, piece, m, {gradients, begin});
  const int64_t blocks = ceil_div(piece.nodes, kBlockNodes);
  for (int64_t l = p.network.layers - 1; l >= 0; --l) {
    for (int64_t block = blocks - 1; block >= 0; --block) {
      const int64_t first = block * kBlockNodes;
      layer_backward(p, p.layout.layers.data()[l], piece, first, smaller(first + kBlockNodes, piece.nodes), m,
                     *m.layers.data()[l], {gradients, begin && block == blocks - 1});
    }
  }
  const Rows<T> dx = m.x;
  if (p.network.embedding_norm) {
    const Gradients<T> all{gradients, begin};
    norm_backward<false, T>(p.norm(p.layout.embedding_norm), dx, piece.nodes, p.network.embed, m.embedded_xhat,
                            m.embedded_rstd.data(), all.norm(p.layout.embedding_norm), dx);
  }
  embedding_backward<T>(p, piece, dx, gradients);
}

template void gpt_backward(const GptParameters<float>&, const engine::ForestPiece&, PieceMemory<float>&, float*, bool);
template void gpt_backward(const GptParameters<double>&, const engine::ForestPiece&, PieceMemory<double>&, double*,
                           bool);

}  // namespace namegen::cpu::NAMEGEN_ISA
