// From contexts to the probabilities of the next symbol: a predictor is asked, and its logits are shaped. Drawing
// directly and tabulating a whole predictor both use it, so they draw the same names to the bit.
#pragma once

#include <exception>
#include <memory>

#include "engine/sampling/aligned_array.h"
#include "engine/sampling/context_tree.h"
#include "engine/sampling/predictor.h"
#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

// Thrown where a logit is infinite or not a number.
class NonFiniteLogits : public std::exception {
 public:
  const char* what() const noexcept override { return "the network's logits are not all finite"; }
};

struct Shaping {
  double temperature;  // above 0
  int64_t top_k;       // 1 to vocab
};

// Throws std::invalid_argument, which names the field, where the shaping is not valid.
void check_shaping(const Shaping& shaping, int64_t vocab);

class ContextRows {
 public:
  ContextRows(const std::shared_ptr<const Predictor>& predictor, Shaping shaping);

  Key append(Key context, uint32_t symbol) {
    return own_contexts_ != nullptr ? own_contexts_->append(context, symbol) : predictor_->append(context, symbol);
  }
  // The context behind the symbols at the start of a name.
  Key start(const std::vector<int32_t>& prefix) {
    Key context = 0;
    for (const int32_t symbol : prefix) context = append(context, static_cast<uint32_t>(symbol));
    return context;
  }
  // Forgets the contexts of append where they take much memory, and tells whether it did. They must not be used then.
  bool forget_contexts() {
    if (own_contexts_ == nullptr || !own_contexts_->is_large()) return false;
    own_contexts_->forget();
    return true;
  }

  // Writes the row of each of up to Predictions::kMostContexts contexts to rows[row[i]]. With `without_end`, symbol 0
  // cannot be drawn. Throws NonFiniteLogits.
  void compute(const Key* contexts, int64_t count, bool without_end, const Rows& rows, const uint32_t* row);
  // Writes their probabilities (count, vocab) instead.
  void probabilities(const Key* contexts, int64_t count, bool without_end, double* output);

 private:
  int64_t vocab_;
  Shaping shaping_;
  const SamplingKernels& kernels_;
  std::shared_ptr<const Predictor> predictor_;
  std::unique_ptr<Predictions> predictions_;
  ContextTree* own_contexts_;  // or null
  AlignedArray<double> scratch_;
};

}  // namespace namegen::sampling
