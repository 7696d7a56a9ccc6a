// What a thread needs to take one piece of the forest through the GPT: the activations that the backward pass reads,
// and buffers that one layer uses after the other.
#pragma once

#include "engine/gpt/cpu/packed_attention.h"

namespace namegen::cpu::NAMEGEN_ISA {

// A layer goes over a piece by blocks of so many nodes: what it keeps of a block, its weights and their gradients stay
// in the L2 cache. A multiple of the rows of most tiles.
inline constexpr int64_t kBlockNodes = 96;

// Rows of `columns` values that grow with the largest piece.
template <class T>
class RowArray {
 public:
  void reserve(int64_t rows, int64_t columns) {
    stride_ = activation_stride<T>(columns);
    rows += kMostTileRows - 1;  // a tile may read so many rows beyond the last
    if (rows * stride_ > array_.size()) array_.resize(rows * stride_);
  }
  operator Rows<T>() const { return {array_.data(), stride_}; }
  T* row(int64_t r) const { return array_.data() + r * stride_; }

 private:
  Array<T> array_;
  int64_t stride_ = 0;
};

// What a layer keeps of a piece.
template <class T>
struct LayerActivations {
  RowArray<T> xhat_1, xhat_2;  // (nodes, E), of the norms
  Array<T> rstd_1, rstd_2;     // (nodes)
  RowArray<T> projections;     // (nodes, 3E)
  Array<T> p;                  // attention's probabilities, see AttentionRows
  RowArray<T> attended;        // (nodes, E)
  RowArray<T> hidden, slope;   // (nodes, hidden): gelu of linear_1, and its derivative
};

template <class T>
struct PieceMemory {
  Array<LayerActivations<T>*> layers;
  RowArray<T> embedded_xhat;  // (nodes, E), of the embedding norm
  Array<T> embedded_rstd;
  RowArray<T> xhat, normed;  // (nodes, E), of the last norm
  Array<T> rstd;
  Rows<T> head_input = {};  // (nodes, E): one of those, or x where there is no last norm
  RowArray<T> logits;       // (nodes, V), then their gradients
  RowArray<T> x;            // (nodes, E): the residual stream, then its gradient
  RowArray<T> y;            // (block, E): what a linear reads, then the gradient of that
  RowArray<T> wide;         // (block, hidden) or (nodes, 3E): gradients
  Array<int64_t> p_begin;
  Array<T> keys, values, key_gradients, value_gradients, ds;  // of attention

  PieceMemory() = default;
  PieceMemory(const PieceMemory&) = delete;
  PieceMemory& operator=(const PieceMemory&) = delete;
  ~PieceMemory() {
    for (int64_t l = 0; l < layers.size(); ++l) delete layers.data()[l];
  }

  // Makes room for any piece of that many nodes whose paths have at most `longest` of them. Without `training` all
  // layers use the memory of layer 0, one after the other.
  void reserve(const GptNetwork& network, int64_t nodes, int64_t longest, bool training) {
    const int64_t embed = network.embed;
    grow_layers(training ? network.layers : 1);
    const int64_t probabilities = nodes * probabilities_of_node<T>(embed, network.heads, longest);
    for (int64_t l = 0; l < (training ? network.layers : 1); ++l) {
      LayerActivations<T>& layer = *layers.data()[l];
      for (RowArray<T>* array : {&layer.xhat_1, &layer.xhat_2, &layer.attended}) array->reserve(nodes, embed);
      for (Array<T>* array : {&layer.rstd_1, &layer.rstd_2}) grow(*array, nodes);
      layer.projections.reserve(nodes, 3 * embed);
      grow(layer.p, probabilities);
      layer.hidden.reserve(nodes, network.hidden);
      if (training) layer.slope.reserve(nodes, network.hidden);
    }
    for (RowArray<T>* array : {&xhat, &normed, &x}) array->reserve(nodes, embed);
    if (network.embedding_norm) {
      embedded_xhat.reserve(nodes, embed);
      grow(embedded_rstd, nodes);
    }
    y.reserve(smaller(nodes, kBlockNodes), embed);
    grow(rstd, nodes);
    logits.reserve(nodes, network.vocab);
    if (training) wide.reserve(smaller(nodes, kBlockNodes), larger(3 * embed, network.hidden));
    grow(p_begin, nodes);
    // A vector of positions is read whole.
    for (Array<T>* array : {&keys, &values, &key_gradients, &value_gradients}) {
      grow(*array, larger(padded<T>(longest), 8) * padded<T>(embed));
    }
    grow(ds, larger(network.heads * padded<T>(longest), longest * kWidth<T>));
  }

  // Finds where each node's probabilities lie.
  void begin_piece(const GptNetwork& network, const engine::ForestPiece& piece) {
    int64_t next = 0;
    for (int64_t i = 0; i < piece.nodes; ++i) {
      p_begin.data()[i] = next;
      next += probabilities_of_node<T>(network.embed, network.heads, piece.depth[i] + 1);
    }
  }

 private:
  template <class Value>
  static void grow(Array<Value>& array, int64_t count) {
    if (count > array.size()) array.resize(count);
  }
  void grow_layers(int64_t count) {
    if (count <= layers.size()) return;
    Array<LayerActivations<T>*> more;
    more.resize(count);
    for (int64_t l = 0; l < layers.size(); ++l) more.data()[l] = layers.data()[l];
    layers.swap(more);
    for (int64_t l = 0; l < count; ++l) {
      if (layers.data()[l] == nullptr) layers.data()[l] = new LayerActivations<T>;
    }
  }
};

}  // namespace namegen::cpu::NAMEGEN_ISA
