#include "engine/sampling/conditioned.h"

#include <algorithm>
#include <array>

#include "engine/require.h"
#include "engine/sampling/aligned_array.h"
#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

class ConditionedPredictions final : public Predictions {
 public:
  ConditionedPredictions(std::shared_ptr<const Predictor> owner, const Conditioned& conditioned)
      : owner_(std::move(owner)),
        conditioned_(conditioned),
        predictions_(conditioned.predictor_->start(conditioned.predictor_)),
        stride_(padded(conditioned.vocab())),
        logits_(kMostContexts * stride_) {
    std::fill_n(logits_.data(), logits_.size(), 0.0f);
  }

  const float* logits(const Key* contexts, int64_t count) override {
    std::array<Key, kMostContexts> own;
    for (int64_t i = 0; i < count; ++i) own[i] = conditioned_.with_category(contexts[i]);
    const float* found = predictions_->logits(own.data(), count);
    const int64_t vocab = conditioned_.vocab(), found_stride = padded(conditioned_.predictor_->vocab());
    for (int64_t i = 0; i < count; ++i) std::copy_n(found + i * found_stride, vocab, logits_.data() + i * stride_);
    return logits_.data();
  }

 private:
  std::shared_ptr<const Predictor> owner_;
  const Conditioned& conditioned_;
  std::unique_ptr<Predictions> predictions_;
  int64_t stride_;
  AlignedArray<float> logits_;
};

Conditioned::Conditioned(std::shared_ptr<const Predictor> predictor, int64_t category, int64_t vocab)
    : Predictor(vocab, predictor->block() - 1), predictor_(std::move(predictor)) {
  require(category >= vocab && category < predictor_->vocab(), "a category must be a symbol behind those of names");
  require(!predictor_->has_states(), "a category must be one of a predictor that sees the last symbols alone");
  set_block(predictor_->block() - 1);
  category_ = static_cast<Key>(category) << (block() * predictor_->bits());
}

Key Conditioned::with_category(Key context) const {
  if (bits() == predictor_->bits()) return category_ | context;
  const Key symbol = (Key{1} << bits()) - 1;
  Key letters = 0;
  for (int64_t age = 0; age < block(); ++age) {
    letters |= (context >> (age * bits()) & symbol) << (age * predictor_->bits());
  }
  return category_ | letters;
}

std::unique_ptr<Predictions> Conditioned::start(std::shared_ptr<const Predictor> self) const {
  return std::make_unique<ConditionedPredictions>(std::move(self), *this);
}

}  // namespace namegen::sampling
