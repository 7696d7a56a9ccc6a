// A network's parameters in the engine's layout: one array for all of them, every matrix with rows of whole vectors
// that are 0 beyond the matrix's columns. Weights lie transposed, (inputs, outputs), as the forward pass reads them; a
// second copy, (outputs, inputs), is what the backward pass reads.
#pragma once

#include "engine/training/memory.h"
#include "engine/training/products.h"
#include "engine/training/step_engine.h"

namespace namegen::cpu::NAMEGEN_ISA {

using engine::Network;
using engine::ParameterShape;

// A linear layer on `segments` positions of `inputs` values each.
struct LinearLayout {
  int64_t segments;
  int64_t inputs;
  int64_t outputs;
  int64_t weight;          // offset of (segments * inputs, padded outputs)
  int64_t bias;            // offset of (padded outputs), or -1
  int64_t transposed;      // offset of (outputs, segments * padded inputs) in the second copy; the first level has none
  int64_t weight_stride;   // padded outputs
  int64_t segment_stride;  // padded inputs
  int64_t transposed_stride() const { return segments * segment_stride; }
};

// Where one parameter of torch's layout lies.
struct Place {
  int64_t offset;
  int64_t rows;     // in torch's layout
  int64_t columns;  // in torch's layout
  int64_t stride;   // of the engine's rows
  bool transposed;  // the engine's rows are torch's columns
};

struct LevelLayout {
  LinearLayout linear = {};
  int64_t norm_weight = -1;  // offsets, or -1
  int64_t norm_bias = -1;
};

template <class T>
struct ParameterLayout {
  Place places[4 * Network::kMostLevels + 3];  // in the order of StepEngine's parameters
  int64_t place_count = 0;
  LevelLayout levels[Network::kMostLevels];
  LinearLayout output;
  int64_t embedding_stride;
  // Offsets [0, shared): embedding, the first level's linear and all batch norms, whose gradients are formed whole; its
  // weight comes last, from first_weight on. [shared, size): the other linears, whose gradients are sums over chunks of
  // examples; their weights come last, from other_weights on.
  int64_t first_weight = 0;
  int64_t shared = 0;
  int64_t other_weights = 0;
  int64_t size = 0;
  int64_t transposed_size = 0;

  explicit ParameterLayout(const Network& network) {
    embedding_stride = padded<T>(network.embed);
    const Place embedding = matrix(network.vocab, network.embed, false);
    int64_t inputs = network.embed;
    for (int64_t l = 0; l < network.level_count; ++l) {
      const engine::Level& level = network.levels[l];
      LevelLayout& layout = levels[l];
      layout.linear = {level.group, inputs, level.size, -1, -1, -1, padded<T>(level.size), padded<T>(inputs)};
      if (level.batch_norm) {
        layout.norm_weight = matrix(1, level.size, false).offset;
        layout.norm_bias = matrix(1, level.size, false).offset;
      }
      if (l == 0) place_bias(layout.linear, level.bias);
      inputs = level.size;
    }
    first_weight = size;
    if (network.level_count > 0) place_weight(levels[0].linear);
    shared = size;
    output = {1, inputs, network.vocab, -1, -1, -1, padded<T>(network.vocab), padded<T>(inputs)};
    for (int64_t l = 1; l < network.level_count; ++l) place_bias(levels[l].linear, network.levels[l].bias);
    if (network.level_count > 0) place_bias(output, network.output_bias);
    other_weights = size;
    for (int64_t l = 1; l < network.level_count; ++l) place_second_copy(levels[l].linear);
    if (network.level_count > 0) place_second_copy(output);

    add(embedding);
    for (int64_t l = 0; l < network.level_count; ++l) {
      const LevelLayout& level = levels[l];
      add_linear(level.linear);
      if (level.norm_weight >= 0) {
        add({level.norm_weight, 1, level.linear.outputs, level.linear.weight_stride, false});
        add({level.norm_bias, 1, level.linear.outputs, level.linear.weight_stride, false});
      }
    }
    if (network.level_count > 0) add_linear(output);
  }

 private:
  void add(const Place& place) { places[place_count++] = place; }
  Place matrix(int64_t rows, int64_t columns, bool transposed) {
    const int64_t stride = padded<T>(transposed ? rows : columns);
    const Place place{size, rows, columns, stride, transposed};
    size += (transposed ? columns : rows) * stride;
    return place;
  }
  void place_bias(LinearLayout& linear, bool bias) {
    linear.bias = bias ? matrix(1, linear.outputs, false).offset : -1;
  }
  void place_weight(LinearLayout& linear) {
    linear.weight = matrix(linear.outputs, linear.segments * linear.inputs, true).offset;
  }
  void place_second_copy(LinearLayout& linear) {
    place_weight(linear);
    linear.transposed = transposed_size;
    transposed_size += linear.outputs * linear.transposed_stride();
  }
  void add_linear(const LinearLayout& linear) {
    add({linear.weight, linear.outputs, linear.segments * linear.inputs, linear.weight_stride, true});
    if (linear.bias >= 0) add({linear.bias, 1, linear.outputs, linear.weight_stride, false});
  }
};

// What stands beyond a row's columns becomes 0 again: steps with a learning rate or gradients that are not finite have
// spoilt it.
template <class T>
inline void take_parameter(const Place& place, const T* data, T* arena) {
  const int64_t rows = place.transposed ? place.columns : place.rows;
  const int64_t columns = place.transposed ? place.rows : place.columns;
  for (int64_t r = 0; r < rows; ++r) {
    T* row = arena + place.offset + r * place.stride;
    for (int64_t c = columns; c < place.stride; ++c) row[c] = 0;
  }
  for (int64_t r = 0; r < place.rows; ++r) {
    for (int64_t c = 0; c < place.columns; ++c) {
      const int64_t at = place.transposed ? c * place.stride + r : r * place.stride + c;
      arena[place.offset + at] = data[r * place.columns + c];
    }
  }
}

template <class T>
inline void give_parameter(const Place& place, const T* arena, T* data) {
  for (int64_t r = 0; r < place.rows; ++r) {
    for (int64_t c = 0; c < place.columns; ++c) {
      const int64_t at = place.transposed ? c * place.stride + r : r * place.stride + c;
      data[r * place.columns + c] = arena[place.offset + at];
    }
  }
}

// Writes outputs [first, first + width) of a linear's second copy, where `first` is a multiple of the width.
template <class T>
inline void transpose_weight(const LinearLayout& linear, int64_t first, const T* arena, T* copy) {
  constexpr int64_t kW = kWidth<T>;
  const int64_t outputs = smaller(kW, linear.outputs - first);
  for (int64_t segment = 0; segment < linear.segments; ++segment) {
    for (int64_t k = 0; k < linear.inputs; k += kW) {
      const T* source = arena + linear.weight + (segment * linear.inputs + k) * linear.weight_stride + first;
      T* target = copy + linear.transposed + first * linear.transposed_stride() + segment * linear.segment_stride + k;
      transpose<T>(source, linear.weight_stride, smaller(kW, linear.inputs - k), outputs, target,
                   linear.transposed_stride(), kW);
    }
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
