// How likely given names are: the negative logarithm of the probability of each of their symbols.
#pragma once

#include "engine/sampling/context_rows.h"
#include "engine/sampling/sampler.h"

namespace namegen::sampling {

// Keeps what it has computed for contexts, as far as memory allows, since names share their beginnings.
class NameScorer {
 public:
  // With `drawn` the first symbol of a name is never its end, as where names are drawn without a prefix.
  NameScorer(std::shared_ptr<const Predictor> predictor, Shaping shaping, bool drawn);

  // Writes -log P(symbol | those before it in its name) of each symbol to nll (count), in nats. The symbols are those
  // of names one after another; a 0 ends each and belongs to it. A symbol that top_k leaves out has infinity. Throws
  // NonFiniteLogits, and std::invalid_argument where a symbol lies outside [0, vocab).
  void score(const int32_t* symbols, int64_t count, double* nll, const Poll& poll);

 private:
  void score_part(const int32_t* symbols, int64_t count, double* nll, const Poll& poll);
  Key append(Key context, uint32_t symbol) {
    return own_contexts_ != nullptr ? own_contexts_->append(context, symbol) : predictor_->append(context, symbol);
  }
  void compute(const Key* contexts, const uint32_t* rows, int64_t count, bool without_end);

  std::shared_ptr<const Predictor> predictor_;
  Shaping shaping_;
  bool drawn_;
  const SamplingKernels& kernels_;
  std::unique_ptr<Predictions> predictions_;
  ContextTree* own_contexts_;  // or null
  int64_t stride_;
  AlignedArray<double> scratch_;

  Memo memo_;
  AlignedArray<float> shaped_;  // (rows of the memo, stride)
  AlignedArray<double> total_;  // (rows of the memo)

  Key context_ = 0;  // behind the symbols that were scored last
  std::vector<Key> contexts_, missing_;
  std::vector<uint32_t> row_, missing_row_;
};

}  // namespace namegen::sampling
