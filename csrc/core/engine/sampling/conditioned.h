// A predictor of names of one category, made of one that was trained on names of several: the category is a symbol of
// its own. Of a network it stands at the oldest place of each context, before as many letters as the context holds
// besides; of counts at the newest, so that they tell categories apart at every length of context; and of a predictor
// that sees where a name begins, behind the start of the name.
#pragma once

#include "engine/sampling/predictor.h"

namespace namegen::sampling {

class Conditioned final : public Predictor {
 public:
  enum class Place { kOldest, kNewest };

  // The symbols of names are 0 to vocab - 1; `category` is one of those from vocab on. Throws std::invalid_argument
  // where there is no such symbol, where the predictor sees no letter beside it, or where its contexts are not its last
  // symbols.
  Conditioned(std::shared_ptr<const Predictor> predictor, int64_t category, int64_t vocab,
              Place place = Place::kOldest);

  std::unique_ptr<Predictions> start(std::shared_ptr<const Predictor> self) const override;

 private:
  friend class ConditionedPredictions;

  bool has_own_contexts() const override { return predictor_->has_own_contexts(); }
  // The context of the predictor that the letters of a context stand for.
  Key with_category(Key context) const;
  // The same in a tree of contexts.
  Key with_category(ContextTree& tree, Key context) const;

  std::shared_ptr<const Predictor> predictor_;
  int64_t category_;
  Place place_;
};

}  // namespace namegen::sampling
