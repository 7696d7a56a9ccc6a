// A network's parameters in the engine's layout. They stand in one array. Every matrix has rows of whole vectors, which
// are 0 beyond the matrix's columns. Weights lie transposed, (inputs, outputs), as the forward pass reads them. The
// backward pass reads a second copy, (outputs, inputs). The output's weight lies as torch has it, (outputs, inputs),
// and both passes read that: the alphabet is short, and rows of outputs would leave much of their vectors empty.
#pragma once

#include "engine/training/cpu/step_memory.h"
#include "engine/training/step_engine.h"
#include "kernels/cpu/padded_products.h"

namespace namegen::cpu::NAMEGEN_ISA {

using engine::Network;
using engine::ParameterShape;

// A linear layer on `segments` positions of `inputs` values each.
struct LinearLayout {
  int64_t segments;
  int64_t inputs;
  int64_t outputs;
  int64_t weight;          // offset of (segments * inputs, padded outputs); the output's is (outputs, padded inputs)
  int64_t bias;            // offset of (padded outputs), or -1
  int64_t transposed;      // offset of (outputs, segments * padded inputs) in the second copy, or -1: the first level
                           // and the output have none
  int64_t weight_stride;   // padded outputs
  int64_t segment_stride;  // padded inputs
  int64_t transposed_stride() const { return segments * segment_stride; }
};

// Where one of torch's parameters lies.
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
  // Offsets [0, shared) hold the embedding, the first level's linear and all batch norms, whose gradients are formed
  // whole. The first level's weight comes last, from first_weight on. Offsets [shared, size) hold the other linears,
  // whose gradients are sums over chunks of examples. Their weights come last, from other_weights on.
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
    if (network.level_count > 0) output.weight = matrix(network.vocab, inputs, false).offset;

    add(embedding);
    for (int64_t l = 0; l < network.level_count; ++l) {
      const LevelLayout& level = levels[l];
      add_linear(level.linear);
      if (level.norm_weight >= 0) {
        add({level.norm_weight, 1, level.linear.outputs, level.linear.weight_stride, false});
        add({level.norm_bias, 1, level.linear.outputs, level.linear.weight_stride, false});
      }
    }
    if (network.level_count > 0) {
      add({output.weight, output.outputs, output.inputs, output.segment_stride, false});
      add_bias(output);
    }
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
    add_bias(linear);
  }
  void add_bias(const LinearLayout& linear) {
    if (linear.bias >= 0) add({linear.bias, 1, linear.outputs, linear.weight_stride, false});
  }
};

// Sets what stands beyond a row's columns to 0 again. Steps with a learning rate or gradients that are not finite may
// have changed it.
template <class T>
inline void take_parameter(const Place& place, const T* data, T* arena) {
  T* target = arena + place.offset;
  if (place.transposed) {
    return transpose_matrix(data, place.columns, place.rows, place.columns, target, place.stride, true);
  }
  for (int64_t r = 0; r < place.rows; ++r, target += place.stride) {
    __builtin_memcpy(target, data + r * place.columns, place.columns * sizeof(T));
    fill_zero(target + place.columns, place.stride - place.columns);
  }
}

template <class T>
inline void give_parameter(const Place& place, const T* arena, T* data) {
  const T* source = arena + place.offset;
  if (place.transposed) {
    return transpose_matrix(source, place.stride, place.columns, place.rows, data, place.columns, false);
  }
  for (int64_t r = 0; r < place.rows; ++r, source += place.stride) {
    __builtin_memcpy(data + r * place.columns, source, place.columns * sizeof(T));
  }
}

// Writes outputs [first, first + width) of a linear's second copy, where `first` is a multiple of the width.
template <class T>
inline void transpose_weight(const LinearLayout& linear, int64_t first, const T* arena, T* copy) {
  const int64_t outputs = smaller(kWidth<T>, linear.outputs - first), columns = linear.transposed_stride();
  for (int64_t segment = 0; segment < linear.segments; ++segment) {
    transpose_matrix(arena + linear.weight + segment * linear.inputs * linear.weight_stride + first,
                     linear.weight_stride, linear.inputs, outputs,
                     copy + linear.transposed + first * columns + segment * linear.segment_stride, columns, true);
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
