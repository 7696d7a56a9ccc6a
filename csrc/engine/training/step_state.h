// What the passes of a step work on: the parameters, one minibatch at every level, and where threads and scratch memory
// come from.
#pragma once

#include "engine/training/memory.h"
#include "engine/training/parameters.h"
#include "engine/training/step_engine.h"
#include "kernels/cpu/embedding_concat_linear.h"

namespace namegen::cpu::NAMEGEN_ISA {

using engine::Optimizer;
using engine::OptimizerKind;
using engine::Slot;

// A minibatch is cut into at most 8 chunks of examples.
struct ExampleChunks {
  int64_t examples;
  int64_t count() const { return smaller(8, larger(1, examples / 128)); }
  int64_t first(int64_t chunk) const { return examples * chunk / count(); }
};

// What a minibatch needs at one level. All arrays but the statistics have one row a position and example.
template <class T>
struct LevelState {
  int64_t positions = 0;  // T, after grouping
  Array<T> z;             // before batch norm; unused without
  Array<T> y;             // after tanh
  Array<T> dz;            // gradient before tanh, then of z
  Array<T> mean, invstd;  // of the minibatch
  Array<T> running_mean, running_var;
};

template <class T>
struct StepState {
  const Network network;
  const Optimizer optimizer;
  const ParameterLayout<T> layout;
  Array<T> arena[3];   // by Slot; states that the optimizer lacks are empty
  Array<T> gradients;  // laid out as the values; of chunked parameters, the first chunk's share
  Array<T> partial;    // the shares of the other chunks
  Array<T> transposed;
  int64_t updates = 0;
  double learning_rate = 0;     // of the present step
  bool update_at_once = false;  // whether SGD moves a weight as soon as its gradient is known

  int64_t capacity = 0;  // examples
  Array<int32_t> tokens;
  Array<int32_t> targets;
  Array<T> logits;  // then their gradients
  LevelState<T> levels[Network::kMostLevels];
  SymbolRows symbols{};               // of the minibatch, in scratch memory
  const T* embedding_rows = nullptr;  // the embedding of each row of symbols, in scratch memory
  StepContext context;

  StepState(const Network& the_network, const Optimizer& the_optimizer)
      : network(the_network), optimizer(the_optimizer), layout(the_network) {
    const int64_t states = optimizer.kind == OptimizerKind::kAdamW ? 2 : optimizer.momentum != 0 ? 1 : 0;
    for (int64_t slot = 0; slot <= states; ++slot) arena[slot].resize(layout.size);
    gradients.resize(layout.size);
    transposed.resize(layout.transposed_size, kWidth<T>);
    int64_t positions = network.block;
    for (int64_t l = 0; l < num_levels(); ++l) {
      positions /= network.levels[l].group;
      levels[l].positions = positions;
      for (Array<T>* array : {&levels[l].mean, &levels[l].invstd, &levels[l].running_mean, &levels[l].running_var}) {
        array->resize(stride(l));
      }
    }
  }

  int64_t num_levels() const { return network.level_count; }
  int64_t stride(int64_t level) const { return layout.levels[level].linear.weight_stride; }
  T* value(int64_t offset) const { return arena[0].data() + offset; }
  T* state_at(Slot slot, int64_t offset) const {
    const Array<T>& array = arena[static_cast<int>(slot)];
    return array.size() == 0 ? nullptr : array.data() + offset;
  }
  T* gradient(int64_t offset) const { return gradients.data() + offset; }
  // Where a chunk puts its share of the gradient of a parameter at `offset` (not a shared one).
  T* chunk_gradient(int64_t chunk, int64_t offset) const {
    if (chunk == 0) return gradient(offset);
    return partial.data() + (chunk - 1) * (layout.size - layout.shared) + offset - layout.shared;
  }

  // The biased variance over that which level l divides by. With u = v / s: (x - m) / sqrt(u + eps) is
  // sqrt(s) (x - m) / sqrt(v + s eps), so the unbiased variance is the biased one with another weight and eps.
  double biased_share(int64_t l, int64_t rows) const {
    return network.levels[l].unbiased ? double(rows - 1) / double(rows) : 1;
  }
  const T* norm_weight(int64_t l, double share) {
    const T* weight = value(layout.levels[l].norm_weight);
    if (share == 1) return weight;
    T* scaled = scratch_array<T>(context, stride(l));
    for (int64_t c = 0; c < stride(l); ++c) scaled[c] = weight[c] * square_root(T(share));
    return scaled;
  }

  // Room for a minibatch of `batch` examples.
  void reserve(int64_t batch) {
    if (batch <= capacity) return;
    tokens.resize(batch * network.block);
    targets.resize(batch);
    const int64_t vocab = padded<T>(network.vocab);
    logits.resize(batch * vocab, kMostTileRows * vocab);
    for (int64_t l = 0; l < num_levels(); ++l) {
      LevelState<T>& level = levels[l];
      // Tiles read whole rows beyond the last: of a level's own, or of as many as the next level takes together.
      const int64_t together = l + 1 < num_levels() ? network.levels[l + 1].group : 1;
      const int64_t spare = kMostTileRows * together * stride(l), size = batch * level.positions * stride(l);
      level.y.resize(size, spare);
      level.dz.resize(size, spare);
      if (network.levels[l].batch_norm) level.z.resize(size, spare);
    }
    partial.resize((ExampleChunks{batch}.count() - 1) * (layout.size - layout.shared));
    capacity = batch;
  }

  // body(chunk, first, end) for the examples [first, end) of every chunk; `flops` is the work of all.
  template <class Body>
  void for_chunks(int64_t batch, double flops, const Body& body) {
    const ExampleChunks chunks{batch};
    parallel_for(context, chunks.count(), flops / kFlopsPerMicro,
                 [&](int64_t chunk) { body(chunk, chunks.first(chunk), chunks.first(chunk + 1)); });
  }
};

// The rows of the level below that make up rows [first, ...) of level l's input.
template <class T>
inline LeftRows<T> input_rows(const StepState<T>& s, int64_t l, int64_t first) {
  const LinearLayout& linear = s.layout.levels[l].linear;
  const int64_t row = linear.transposed_stride();
  return {s.levels[l - 1].y.data() + first * row, row, linear.segments, linear.segment_stride, linear.inputs};
}

}  // namespace namegen::cpu::NAMEGEN_ISA
