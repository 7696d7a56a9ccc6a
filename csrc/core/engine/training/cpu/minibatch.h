// A minibatch, and all that can be found out about it without the parameters. One thread may do so for the next step
// while another thread ends the present one.
#pragma once

#include "engine/training/cpu/examples.h"
#include "engine/training/cpu/step_memory.h"
#include "kernels/cpu/symbol_rows.h"

namespace namegen::cpu::NAMEGEN_ISA {

// A minibatch is cut into so many chunks, at every level and whatever the number of rows there. There are few chunks:
// each has a gradient of its own of the weights above the first level, and the update adds all of these up.
struct ExampleChunks {
  static constexpr int64_t kMost = 8;
  int64_t examples;
  int64_t count() const { return smaller(kMost, larger(1, examples / 256)); }
};

struct Minibatch {
  int64_t size = 0;         // B, examples
  Array<int32_t> contexts;  // (B), as their numbers in the data set
  Array<int32_t> targets;   // (B)
  // In scratch memory:
  DistinctRows rows[Network::kMostLevels];  // of each level
  RowLists readers[Network::kMostLevels];   // of a level's rows: the parts of the level above that are made of each
  SymbolRows symbols;                       // of the rows of the first level
  const int32_t* sum_before;                // of each of symbols.row_of, see sums_before; where there is one chunk
  DistinctRows outputs;                     // the rows of the last level and of the logits: distinct contexts
  RowLists examples_of;                     // which examples have each of the outputs
  StepContext context;

  void reserve(int64_t examples) {
    contexts.resize(examples);
    targets.resize(examples);
  }
};

inline void clear(Minibatch& m) {
  m.context.clear();
  fill_zero(m.contexts.data(), m.contexts.size());
  fill_zero(m.targets.data(), m.targets.size());
}

// Copies the examples of one step, and prefetches those of the next step. These lie all over the data set, which the
// caches near the core do not hold.
inline void gather(Minibatch& m, const Examples& examples, const engine::Steps& steps, int64_t step) {
  const int64_t* indices = steps.indices + step * steps.batch;
  m.size = steps.batch;
  for (int64_t i = 0; i < m.size; ++i) {
    const Example example = examples.data()[indices[i]];
    m.contexts.data()[i] = example.context;
    m.targets.data()[i] = example.target;
  }
  if (step + 1 == steps.count) return;
  for (int64_t i = 0; i < m.size; ++i) __builtin_prefetch(examples.data() + indices[m.size + i]);
}

inline SymbolRows number_symbols_of(const Network& network, const DistinctRows& rows, Context& context) {
  const EmbeddingConcatLinearShape shape{rows.count, network.levels[0].group, network.vocab, network.embed,
                                         network.levels[0].size};
  return number_symbols(shape, rows.parts, context);
}

// Sums per symbol are added up row by row. This says where the sum stands before each symbol of each row is added: at
// the symbol's own row or, the first time, at the row behind all others. That row is zero, so no other row must be zero
// at first. Measured: 11.3 us with all rows set to zero, 11.1 us with this one (an MLP's step at batch 32).
inline const int32_t* sums_before(const SymbolRows& symbols, int64_t rows, Context& context) {
  int32_t* before = scratch_array<int32_t>(context, rows * symbols.block);
  int32_t* sum_of = scratch_array<int32_t>(context, symbols.rows());
  for (int64_t r = 0; r < symbols.rows(); ++r) sum_of[r] = static_cast<int32_t>(symbols.rows());
  for (int64_t i = 0; i < rows * symbols.block; ++i) {
    const int32_t row = symbols.row_of[i];
    before[i] = sum_of[row];
    sum_of[row] = row;
  }
  return before;
}

// Finds the distinct rows of every level, from the contexts down, and the lists by which their gradients are gathered.
inline void find_rows(Minibatch& m, const Network& network, const Examples& examples, RowMarks& marks) {
  const int64_t last = network.level_count - 1;
  marks.begin_minibatch();
  Picked picked = pick_distinct(
      m.contexts.data(), m.size, [](int64_t) { return 1; }, marks.of_level(last < 0 ? 0 : level_of_rows(network, last)),
      marks.stamp(), m.context);
  m.outputs = {picked.count, picked.repeats, picked.numbers};
  m.examples_of = list_by_row(picked, m.size, m.context);
  for (int64_t l = last; l >= 0; --l) {
    m.rows[l] = {picked.count, picked.repeats, nullptr};
    if (level_of_rows(network, l) != l) continue;
    const int64_t group = network.levels[l].group, count = picked.count;
    const int32_t* parts_of = examples.rows(l).parts();
    int32_t* parts = scratch_array<int32_t>(m.context, count * group);
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t part = 0; part < group; ++part) parts[r * group + part] = parts_of[picked.numbers[r] * group + part];
    }
    if (l == 0) {
      m.rows[0].parts = parts;
      break;
    }
    picked = pick_distinct(
        parts, count * group, [=](int64_t i) { return picked.repeats[i / group]; },
        marks.of_level(level_of_rows(network, l - 1)), marks.stamp(), m.context);
    m.rows[l].parts = picked.row_of;
    m.readers[l - 1] = list_by_row(picked, count * group, m.context);
  }
  if (last < 0) return;
  m.symbols = number_symbols_of(network, m.rows[0], m.context);
  if (ExampleChunks{m.size}.count() == 1) m.sum_before = sums_before(m.symbols, m.rows[0].count, m.context);
}

// Takes all rows of some examples, for evaluation of a network with levels.
inline void take_all_rows(Minibatch& m, const Network& network, const Examples& examples) {
  for (int64_t l = 0; l < network.level_count; ++l) {
    const RowTable& rows = examples.rows(level_of_rows(network, l));
    m.rows[l] = m.outputs = {rows.count(), nullptr, rows.parts()};
  }
  m.symbols = number_symbols_of(network, m.rows[0], m.context);
}

}  // namespace namegen::cpu::NAMEGEN_ISA
