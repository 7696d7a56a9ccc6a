// All contexts that a predictor can come to, with the probabilities behind each: a model as a finite chain.
#pragma once

#include <memory>
#include <vector>

#include "engine/sampling/context_rows.h"
#include "engine/sampling/sampler.h"

namespace namegen::sampling {

// Throws std::invalid_argument where a prefix holds other symbols than letters.
void check_prefix(const std::vector<int32_t>& prefix, int64_t vocab);

// Contexts of one class count as one (Predictor::class_of). Context 0 is the start, behind a prefix or without one.
// Without a prefix a name's end cannot be drawn there, so that no name is empty.
class ContextSet {
 public:
  // Returns nothing where there are more than `most` contexts. Throws NonFiniteLogits. An exception of `poll` ends the
  // call.
  static std::shared_ptr<const ContextSet> reach(const std::shared_ptr<const Predictor>& predictor, Shaping shaping,
                                                 const std::vector<int32_t>& prefix, int64_t most, const Poll& poll);

  int64_t vocab() const { return vocab_; }
  int64_t size() const { return size_; }
  const double* probabilities(int64_t context) const { return &probabilities_[context * vocab_]; }  // (vocab)
  // The context behind each symbol: (vocab). That of a symbol without probability is 0.
  const uint32_t* next(int64_t context) const { return &next_[context * vocab_]; }

 private:
  ContextSet() = default;

  int64_t vocab_ = 0;
  int64_t size_ = 0;
  std::vector<double> probabilities_;  // (size, vocab)
  std::vector<uint32_t> next_;         // (size, vocab)
};

}  // namespace namegen::sampling
