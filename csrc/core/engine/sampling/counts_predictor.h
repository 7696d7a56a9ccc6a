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

 private:
  std::shared_ptr<const counts::CountModel> model_;
};

}  // namespace namegen::sampling
