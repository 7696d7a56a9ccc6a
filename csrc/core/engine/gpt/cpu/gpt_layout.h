// The GPT's parameters in the engine's layout: one array for all of them. Vectors and embeddings are rows of whole
// vectors. The weights of the layers' linears lie in the panels that the products read: panel p holds columns
// [p * kPanel, ...) of the (inputs, outputs) matrix, input by input, so that a panel is one piece of memory whose lines
// spread over all sets of the L1 cache. A second copy of (outputs, inputs), in panels too, is what the backward pass
// reads. The head lies as torch has it, (V, E): where it is tied, it is the token embedding.
#pragma once

#include "engine/gpt/gpt_engine.h"
#include "engine/training/cpu/parameters.h"
#include "kernels/cpu/optimizers.h"

namespace namegen::cpu::NAMEGEN_ISA {

using engine::GptNetwork;

// A matrix (rows, columns) in panels of columns: element (r, c) of panel p lies at p's first column * rows +
// r * the panel's padded width + c - first.
template <class T>
struct PanelMatrix {
  int64_t rows, columns;
  int64_t size() const { return rows * padded<T>(columns); }
  int64_t panel_count() const { return Panels<T>{columns}.count(); }
  int64_t panel(int64_t p) const { return Panels<T>{columns}.first(p) * rows; }
  int64_t width(int64_t p) const { return Panels<T>{columns}.width(p); }
  int64_t stride(int64_t p) const { return Panels<T>{columns}.vectors(p) * kWidth<T>; }
};

struct GptLinear {
  int64_t inputs, outputs;
  int64_t weight;      // offset of the (inputs, outputs) matrix in panels
  int64_t bias;        // offset of (padded outputs), or -1
  int64_t transposed;  // offset of the (outputs, inputs) matrix in panels, in the second copy
};

// Offsets of a norm's weight and bias, each (padded E), or -1.
struct GptNorm {
  int64_t weight, bias;
};

struct GptLayer {
  GptNorm norm_1, norm_2;
  GptLinear projections, output, linear_1, linear_2;
};

// Where one parameter of torch's layout lies.
struct GptPlace {
  int64_t offset;
  int64_t rows, columns;  // in torch's layout
  bool panels;            // as (columns, rows) in panels; else rows of whole vectors
};

template <class T>
struct GptLayout {
  Array<GptLayer> layers;
  Array<GptPlace> places;  // in the order of GptEngine's parameters
  int64_t token, position, head;
  GptNorm embedding_norm, norm;
  int64_t weights = 0;  // offset of the first weight in panels; these end at `size`. Their gradients are written, those
                        // of the parameters before them are added to.
  int64_t size = 0;
  int64_t transposed_size = 0;

  explicit GptLayout(const GptNetwork& network) {
    const int64_t embed = network.embed;
    layers.resize(network.layers);
    token = rows_at(network.vocab, embed);
    position = rows_at(network.block, embed);
    embedding_norm = norm_at(network, network.embedding_norm);
    norm = norm_at(network, network.final_norm);
    head = network.tied ? token : rows_at(network.vocab, embed);
    for (int64_t l = 0; l < network.layers; ++l) {
      layers.data()[l] = {norm_at(network, true),
                          norm_at(network, true),
                          linear_at(network, embed, 3 * embed),
                          linear_at(network, embed, embed),
                          linear_at(network, embed, network.hidden),
                          linear_at(network, network.hidden, embed)};
    }
    weights = size;
    for (int64_t l = 0; l < network.layers; ++l) {
      GptLayer& layer = layers.data()[l];
      for (GptLinear* linear : {&layer.projections, &layer.output, &layer.linear_1, &layer.linear_2}) {
        linear->weight = size;
        size += PanelMatrix<T>{linear->inputs, linear->outputs}.size();
        linear->transposed = transposed_size;
        transposed_size += PanelMatrix<T>{linear->outputs, linear->inputs}.size();
      }
    }
    list_places(network);
  }

 private:
  int64_t rows_at(int64_t rows, int64_t columns) {
    const int64_t offset = size;
    size += rows * padded<T>(columns);
    return offset;
  }
  GptNorm norm_at(const GptNetwork& network, bool exists) {
    if (!exists || network.norms == engine::GptNorms::kRms) return {-1, -1};
    const int64_t weight = rows_at(1, network.embed);
    return {weight, network.biases ? rows_at(1, network.embed) : -1};
  }
  GptLinear linear_at(const GptNetwork& network, int64_t inputs, int64_t outputs) {
    return {inputs, outputs, -1, network.biases ? rows_at(1, outputs) : -1, -1};
  }

  void list_places(const GptNetwork& network) {
    const int64_t embed = network.embed;
    Array<GptPlace> found;
    found.resize(7 + 12 * network.layers);
    GptPlace* next = found.data();
    const auto add_vector = [&](int64_t offset, int64_t columns) {
      if (offset >= 0) *next++ = {offset, 1, columns, false};
    };
    const auto add_norm = [&](const GptNorm& n) {
      add_vector(n.weight, embed);
      add_vector(n.bias, embed);
    };
    const auto add_linear = [&](const GptLinear& linear) {
      *next++ = {linear.weight, linear.outputs, linear.inputs, true};
      add_vector(linear.bias, linear.outputs);
    };
    *next++ = {token, network.vocab, embed, false};
    *next++ = {position, network.block, embed, false};
    add_norm(embedding_norm);
    for (int64_t l = 0; l < network.layers; ++l) {
      const GptLayer& layer = layers.data()[l];
      add_norm(layer.norm_1);
      add_linear(layer.projections);
      add_linear(layer.output);
      add_norm(layer.norm_2);
      add_linear(layer.linear_1);
      add_linear(layer.linear_2);
    }
    add_norm(norm);
    if (!network.tied) *next++ = {head, network.vocab, embed, false};
    places.resize(next - found.data());
    for (int64_t p = 0; p < places.size(); ++p) places.data()[p] = found.data()[p];
  }
};

// What stands beyond a row's columns becomes 0.
template <class T>
inline void take_parameter(const GptPlace& place, const T* data, T* arena) {
  T* target = arena + place.offset;
  if (place.panels) {
    const PanelMatrix<T> matrix{place.columns, place.rows};
    for (int64_t p = 0; p < matrix.panel_count(); ++p) {
      transpose_matrix(data + p * kPanel<T> * place.columns, place.columns, matrix.width(p), place.columns,
                       target + matrix.panel(p), matrix.stride(p), true);
    }
    return;
  }
  const int64_t stride = padded<T>(place.columns);
  for (int64_t r = 0; r < place.rows; ++r, target += stride) {
    __builtin_memcpy(target, data + r * place.columns, place.columns * sizeof(T));
    fill_zero(target + place.columns, stride - place.columns);
  }
}

template <class T>
inline void give_parameter(const GptPlace& place, const T* arena, T* data) {
  const T* source = arena + place.offset;
  if (place.panels) {
    const PanelMatrix<T> matrix{place.columns, place.rows};
    for (int64_t p = 0; p < matrix.panel_count(); ++p) {
      transpose_matrix(source + matrix.panel(p), matrix.stride(p), place.columns, matrix.width(p),
                       data + p * kPanel<T> * place.columns, place.columns, false);
    }
    return;
  }
  for (int64_t r = 0; r < place.rows; ++r, source += padded<T>(place.columns)) {
    __builtin_memcpy(data + r * place.columns, source, place.columns * sizeof(T));
  }
}

// The sum of the squares of a parameter's gradient.
template <class T>
inline double squares_of(const GptPlace& place, const T* gradients) {
  const T* values = gradients + place.offset;
  if (!place.panels) return sum_of_squares(values, place.rows, place.columns, padded<T>(place.columns));
  const PanelMatrix<T> matrix{place.columns, place.rows};
  double total = 0;
  for (int64_t p = 0; p < matrix.panel_count(); ++p) {
    total += sum_of_squares(values + matrix.panel(p), matrix.rows, matrix.width(p), matrix.stride(p));
  }
  return total;
}

// Writes the rows of a weight's second copy that one panel of outputs becomes.
template <class T>
inline void transpose_panel(const GptLinear& linear, int64_t panel, const T* arena, T* copy) {
  const PanelMatrix<T> weight{linear.inputs, linear.outputs}, transposed{linear.outputs, linear.inputs};
  const T* source = arena + linear.weight + weight.panel(panel);
  T* target = copy + linear.transposed;
  for (int64_t p = 0; p < transposed.panel_count(); ++p) {
    transpose_matrix(source + p * kPanel<T> * weight.stride(panel), weight.stride(panel), transposed.width(p),
                     weight.width(panel), target + transposed.panel(p) + panel * kPanel<T> * transposed.stride(p),
                     transposed.stride(p), true);
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
