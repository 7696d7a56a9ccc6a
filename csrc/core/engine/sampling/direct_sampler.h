// Names from a predictor that is asked for each context. This is for models with more contexts than a table could hold.
#pragma once

#include "engine/sampling/context_rows.h"
#include "engine/sampling/name_cells.h"
#include "engine/sampling/sampler.h"

namespace namegen::sampling {

// The sampler keeps the probabilities of contexts that it has computed, as far as memory allows, since names share
// their beginnings.
class DirectSampler final : public Sampler {
 public:
  DirectSampler(std::shared_ptr<const Predictor> predictor, Shaping shaping, Spelling spelling);

  std::unique_ptr<Sampler> copy() const override;
  void draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) override;

 private:
  void begin_batch();
  void draw_batch(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll);
  void find_rows(int64_t active, const Poll& poll);
  void compute(const Key* contexts, const uint32_t* rows, int64_t count, bool without_end);

  std::shared_ptr<const Predictor> predictor_;
  Shaping shaping_;
  Spelling spelling_;
  const SamplingKernels& kernels_;
  std::unique_ptr<ContextRows> context_rows_;  // made when the first name is drawn
  Key start_ = 0;                              // the context behind the prefix
  NameCells cells_;

  Memo memo_;
  AlignedArray<uint32_t> thresholds_;  // a row for each row of the memo, and one more for the first symbol
  AlignedArray<int32_t> last_;
  Rows rows_;
  uint32_t first_row_;
  bool has_first_row_ = false;

  // Of each active name, by its place among them.
  AlignedArray<uint32_t> words_;  // (kTurn, kDirectBatch), by the places when the words were drawn
  AlignedArray<uint32_t> slot_, place_, row_, word_, symbol_;
  std::vector<Key> context_, missing_;
  std::vector<uint32_t> missing_row_;
};

}  // namespace namegen::sampling
