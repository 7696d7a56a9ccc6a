// What the passes of a step work on: the parameters, one minibatch at every level, scratch memory and threads.
#pragma once

#include "engine/training/cpu/minibatch.h"
#include "engine/training/cpu/parameters.h"

namespace namegen::cpu::NAMEGEN_ISA {

using engine::Optimizer;
using engine::OptimizerKind;
using engine::Slot;

// The rows of a level that belong to one chunk.
struct RowRange {
  int64_t chunk;
  int64_t share;      // the number of the thread's share that holds the chunk
  bool begins_share;  // whether the chunk is the first of its share
  int64_t first;
  int64_t end;
  int64_t count() const { return end - first; }
};

// What a minibatch needs at one level. All arrays of activations have a row for each distinct row (distinct_rows.h).
template <class T>
struct LevelState {
  int64_t positions = 0;  // T, after grouping
  Array<T> x;             // the linear's input, where it joins rows of the level below; then its gradient
  Array<T> z;             // before batch norm; not used without
  Array<T> y;             // after tanh
  Array<T> dz;            // the gradient before tanh, then of z
  Array<T> mean, invstd;  // of the minibatch
  Array<T> scale;         // of batch norm: weight * invstd
  Array<T> running_mean, running_var;
  // In scratch memory:
  T* weights = nullptr;                  // for batch norm: at how many places each row occurs
  T* chunk_sums = nullptr;               // of batch norm
  T *shift = nullptr, *slope = nullptr;  // of batch norm's backward pass, by channel
};

template <class T>
struct StepState {
  const Network network;
  const Optimizer optimizer;
  const ParameterLayout<T> layout;
  Array<T> arena[engine::kSlotCount];  // by Slot; states that the optimizer does not have are empty
  Array<T> gradients;                  // laid out as the values; of parameters with chunks, the first chunk's share
  Array<T> partial;                    // the shares of the other chunks
  Array<T> transposed;
  int64_t updates = 0;
  double learning_rate = 0;     // of the present step
  double average_share = 0;     // of the present step, where an average is kept
  bool update_at_once = false;  // whether SGD moves a weight as soon as its gradient is known

  int64_t capacity = 0;      // examples of a minibatch
  int64_t row_capacity = 0;  // distinct contexts of a minibatch
  Minibatch minibatches[2];
  const Minibatch* now = &minibatches[0];  // of the present step
  Array<T> logits;                         // (outputs, padded V); then their gradients
  LevelState<T> levels[Network::kMostLevels];
  // In scratch memory:
  const T* embedding_rows = nullptr;  // the embedding of each row of symbols
  T* table = nullptr;                 // the first level's linear of each row of symbols
  int64_t table_stride = 0;           // from the table of one share of the chunks to the next; 0: one for all
  T* symbol_sums = nullptr;           // see symbol_sums.h
  int64_t symbol_sums_stride = 0;     // from the sums of one chunk to the next
  StepContext context;

  StepState(const Network& the_network, const Optimizer& the_optimizer)
      : network(the_network), optimizer(the_optimizer), layout(the_network) {
    const int64_t states = optimizer.kind == OptimizerKind::kAdamW ? 2 : optimizer.momentum != 0 ? 1 : 0;
    for (int64_t slot = 0; slot <= states; ++slot) arena[slot].resize(layout.size);
    if (optimizer.averages) arena[static_cast<int>(Slot::kAverage)].resize(layout.size);
    gradients.resize(layout.size);
    transposed.resize(layout.transposed_size);
    int64_t positions = network.block;
    for (int64_t l = 0; l < num_levels(); ++l) {
      positions /= network.levels[l].group;
      levels[l].positions = positions;
      for (Array<T>* array :
           {&levels[l].mean, &levels[l].invstd, &levels[l].scale, &levels[l].running_mean, &levels[l].running_var}) {
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
  // Where a chunk puts its share of the gradient of a parameter at `offset`, which is not a shared one.
  T* chunk_gradient(int64_t chunk, int64_t offset) const {
    if (chunk == 0) return gradient(offset);
    return partial.data() + (chunk - 1) * (layout.size - layout.shared) + offset - layout.shared;
  }

  // Makes room for a minibatch of `batch` examples, with at most so many distinct contexts.
  void reserve(int64_t batch, int64_t contexts) {
    if (batch > capacity) {
      for (Minibatch& minibatch : minibatches) minibatch.reserve(batch);
      partial.resize((ExampleChunks{batch}.count() - 1) * (layout.size - layout.shared));
      capacity = batch;
    }
    reserve_rows(smaller(batch, contexts));
  }

  // Makes room for the activations of so many distinct contexts.
  void reserve_rows(int64_t contexts) {
    if (contexts <= row_capacity) return;
    logits.resize(contexts * padded<T>(network.vocab));
    for (int64_t l = 0; l < num_levels(); ++l) {
      LevelState<T>& level = levels[l];
      const int64_t size = contexts * level.positions * stride(l);
      level.y.resize(size);
      level.dz.resize(size);
      if (network.levels[l].batch_norm) level.z.resize(size);
      if (joins(l)) {
        const int64_t row = layout.levels[l].linear.transposed_stride();
        level.x.resize(contexts * level.positions * row);
      }
    }
    row_capacity = contexts;
  }

  // At least the number of rows of symbols of any minibatch with so many rows. Each thread's tables and sums have room
  // for so many, so they lie at the same place in every step, and never where another thread has written in the step
  // before. Measured: 103 us without, 98 us with (an MLP's step at batch 1,024, two CPUs without a shared cache).
  int64_t most_symbol_rows() const { return smaller(network.vocab, rows(0)) * now->symbols.block; }

  bool joins(int64_t l) const { return joins_rows(network, l); }
  int64_t chunks() const { return ExampleChunks{now->size}.count(); }
  int64_t rows(int64_t l) const { return now->rows[l].count; }
  int64_t places(int64_t l) const { return now->size * levels[l].positions; }
  // What the linear of level l > 0 reads: (R, segments * padded inputs).
  T* input(int64_t l) const { return joins(l) ? levels[l].x.data() : levels[l - 1].y.data(); }

  RowRange range(int64_t count, int64_t chunk) const {
    return {chunk, 0, chunk == 0, count * chunk / chunks(), count * (chunk + 1) / chunks()};
  }
  // The number of shares that the chunks are cut into for so many microseconds of work.
  int64_t shares(double micros) const { return smaller(chunks(), context.threads(micros)); }
  // Calls body(range) for every chunk of `count` rows. `flops` is the work of all chunks. One thread takes a share of
  // the chunks, one after the other.
  template <class Body>
  void for_chunks(int64_t count, double flops, const Body& body) {
    const double micros = flops / kFlopsPerMicro;
    const int64_t share_count = shares(micros);
    parallel_for(context, share_count, micros, [&](int64_t share) {
      const int64_t begin = chunks() * share / share_count, end = chunks() * (share + 1) / share_count;
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        RowRange rows = range(count, chunk);
        rows.share = share;
        rows.begins_share = chunk == begin;
        body(rows);
      }
    });
  }

  bool norm(int64_t l) const { return network.levels[l].batch_norm; }
  // Whether what follows level l needs all rows of the level, not those of its own chunk alone. Batch norm needs all
  // for its statistics. Rows that are joined may come from any chunk.
  bool is_waited_for(int64_t l) const { return norm(l) || (l + 1 < num_levels() && joins(l + 1)); }
  // The first level of the last pass, which goes on to the logits.
  int64_t last_pass() const {
    int64_t l = num_levels();
    while (l > 0 && !is_waited_for(l - 1)) --l;
    return l;
  }
};

}  // namespace namegen::cpu::NAMEGEN_ISA
