// A predictor of names of one category, made of one that was trained on names of several: the category is a symbol of
// its own, and stands at the oldest place of each context, before as many letters as the context holds besides.
#pragma once

#include "engine/sampling/predictor.h"

namespace namegen::sampling {

class Conditioned final : public Predictor {
 public:
  // The symbols of names are 0 to vocab - 1; `category` is one of those from vocab on. Throws std::invalid_argument
  // where there is no such symbol, where the predictor sees no letter beside it, or where its contexts are not its last
  // symbols.
  Conditioned(std::shared_ptr<const Predictor> predictor, int64_t category, int64_t vocab);

  std::unique_ptr<Predictions> start(std::shared_ptr<const Predictor> self) const override;

 private:
  friend class ConditionedPredictions;

  // The context of the predictor that the letters of a context stand for.
  Key with_category(Key context) const;

  std::shared_ptr<const Predictor> predictor_;
  Key category_;  // at its place
};

}  // namespace namegen::sampling
