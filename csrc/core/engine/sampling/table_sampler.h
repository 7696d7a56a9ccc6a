// Names from a table of all contexts: each symbol takes one random number and one row.
#pragma once

#include "engine/sampling/context_rows.h"
#include "engine/sampling/name_cells.h"
#include "engine/sampling/sampler.h"

namespace namegen::sampling {

// The rows of all vocab^block contexts. One more, the last, is for the first symbol of names without a prefix. The row
// of a context is a number in base vocab, whose highest digit is the oldest symbol.
class ContextTable {
 public:
  // Throws std::invalid_argument for 2^32 rows or more.
  ContextTable(int64_t vocab, int64_t block);
  // Tabulates a whole predictor. Throws std::invalid_argument for one with states, and NonFiniteLogits. An exception of
  // `poll` ends the call.
  ContextTable(const std::shared_ptr<const Predictor>& predictor, Shaping shaping, const Poll& poll);

  int64_t vocab() const { return vocab_; }
  int64_t num_rows() const { return num_contexts_ + 1; }
  // Sets the rows from `first` on from their cumulative probabilities (count, vocab). Each row ascends to 1 exactly.
  void set_rows(int64_t first, int64_t count, const double* cumulative);

  uint32_t start_row(const std::vector<int32_t>& prefix) const;
  Rows rows() const { return rows_; }
  const uint32_t* next() const { return next_.data(); }

 private:
  int64_t vocab_;
  int64_t num_contexts_;
  AlignedArray<uint32_t> thresholds_;
  AlignedArray<int32_t> last_;
  AlignedArray<uint32_t> next_;
  Rows rows_;
};

class TableSampler final : public Sampler {
 public:
  TableSampler(std::shared_ptr<const ContextTable> table, Spelling spelling);

  std::unique_ptr<Sampler> copy() const override;
  void draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) override;

 private:
  void draw_batch(uint64_t seed, uint64_t first, int64_t count, std::string& text);

  std::shared_ptr<const ContextTable> table_;
  Spelling spelling_;
  const SamplingKernels& kernels_;
  NameCells cells_;
  AlignedArray<uint32_t> words_;  // (kTurn, kTableBatch)
  AlignedArray<uint32_t> row_, slot_;
};

}  // namespace namegen::sampling
