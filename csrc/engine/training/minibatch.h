// A minibatch, and all that can be found out about it without the parameters: one thread may do so for the next step
// while another one ends the present one.
#pragma once

#include "engine/training/distinct_rows.h"
#include "engine/training/memory.h"
#include "engine/training/step_engine.h"
#include "kernels/cpu/embedding_concat_linear.h"

namespace namegen::cpu::NAMEGEN_ISA {

using engine::Network;

struct Minibatch {
  int64_t size = 0;        // B, examples
  Array<int32_t> tokens;   // (B, block)
  Array<int32_t> targets;  // (B)
  // In scratch memory:
  DistinctRows rows[Network::kMostLevels];  // of each level
  RowLists readers[Network::kMostLevels];   // of a level's rows: which parts of the level above are made of each
  SymbolRows symbols;                       // of the rows of the first level
  DistinctRows contexts;                    // of the tokens of whole examples: rows of the last level and the logits
  RowLists examples;                        // of the contexts
  StepContext context;

  void reserve(int64_t examples, int64_t block) {
    tokens.resize(examples * block);
    targets.resize(examples);
  }
};

// Whether a level's linear reads several rows of the level below side by side. If not, its rows are those below.
inline bool joins_rows(const Network& network, int64_t level) { return level > 0 && network.levels[level].group > 1; }

// Copies the examples of one step.
inline void gather(Minibatch& m, const Network& network, const engine::Steps& steps, int64_t step) {
  const int64_t* indices = steps.indices + step * steps.batch;
  m.size = steps.batch;
  for (int64_t i = 0; i < m.size; ++i) {
    const int32_t* source = steps.tokens + indices[i] * network.block;
    for (int64_t t = 0; t < network.block; ++t) m.tokens.data()[i * network.block + t] = source[t];
    m.targets.data()[i] = steps.targets[indices[i]];
  }
}

// The distinct rows of every level; for training, where their gradients are to be gathered from.
inline void find_rows(Minibatch& m, const Network& network, bool training) {
  const int32_t* values = m.tokens.data();
  int64_t span = network.vocab, positions = network.block;
  for (int64_t l = 0; l < network.level_count; ++l) {
    const int64_t group = network.levels[l].group;
    positions /= group;
    if (l > 0 && !joins_rows(network, l)) {
      m.rows[l] = m.rows[l - 1];
      continue;
    }
    m.rows[l] = find_distinct_rows(values, m.size * positions, group, span, m.context);
    if (l > 0 && training) m.readers[l - 1] = list_by_row(m.rows[l].parts, m.rows[l].count * group, span, m.context);
    values = m.rows[l].row_of;
    span = m.rows[l].count;
  }
  if (network.level_count > 0) {
    m.contexts = m.rows[network.level_count - 1];
    const EmbeddingConcatLinearShape shape{m.rows[0].count, network.levels[0].group, network.vocab, network.embed,
                                           network.levels[0].size};
    m.symbols = number_symbols(shape, m.rows[0].parts, m.context);
  } else {
    m.contexts = find_distinct_rows(values, m.size, 1, span, m.context);
  }
  if (training) m.examples = list_by_row(m.contexts.row_of, m.size, m.contexts.count, m.context);
}

}  // namespace namegen::cpu::NAMEGEN_ISA
