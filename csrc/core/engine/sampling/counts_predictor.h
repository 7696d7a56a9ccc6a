// A counting model as a predictor.
#pragma once

#include "engine/counts/count_model.h"
#include "engine/sampling/predictor.h"

namespace namegen::sampling {

class CountsPredictor final : public Predictor {
 public:
  // Throws std::invalid_argument where a context does not fit into a key, or the order is 0.
  explicit CountsPredictor(std::shared_ptr<const counts::CountModel> model);

  const counts::CountModel& model() const { return *model_; }
  std::unique_ptr<Predictions> start(std::shared_ptr<const Predictor> self) const override;

  // A class is the longest context of the counts that ends a context.
  bool has_classes() const override { return has_classes_; }
  Key class_of(Key context) const override;

 private:
  std::shared_ptr<const counts::CountModel> model_;
  bool has_classes_;
};

}  // namespace namegen::sampling
