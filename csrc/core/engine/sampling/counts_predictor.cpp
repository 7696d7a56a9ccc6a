#include "engine/sampling/counts_predictor.h"

#include <algorithm>

#include "engine/sampling/aligned_array.h"
#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

namespace {

// The logarithm of a probability of 0, kept finite, as namegen_ext/models/count_model.py has it.
constexpr float kLogOfZero = -1e4f;

class CountPredictions final : public Predictions {
 public:
  CountPredictions(std::shared_ptr<const Predictor> owner, const CountsPredictor& predictor)
      : owner_(std::move(owner)),
        predictor_(predictor),
        stride_(padded(predictor.vocab())),
        logits_(kMostContexts * stride_),
        symbols_(predictor.block()),
        path_(predictor.block() + 1),
        kernels_(sampling_kernels()) {
    std::fill_n(logits_.data(), logits_.size(), 0.0f);
  }

  const float* logits(const Key* contexts, int64_t count) override {
    const int64_t block = predictor_.block();
    const int bits = predictor_.bits();
    const Key symbol = (Key{1} << bits) - 1;
    for (int64_t i = 0; i < count; ++i) {
      Key left = contexts[i];
      for (int64_t place = block - 1; place >= 0; --place, left >>= bits) {
        symbols_[place] = static_cast<int32_t>(left & symbol);
      }
      predictor_.model().distribution({symbols_.data() + block, static_cast<int32_t>(block)}, path_.data(),
                                      logits_.data() + i * stride_);
    }
    kernels_.logarithms({logits_.data(), count * stride_, kLogOfZero});
    return logits_.data();
  }

 private:
  std::shared_ptr<const Predictor> owner_;
  const CountsPredictor& predictor_;
  int64_t stride_;
  AlignedArray<float> logits_;
  std::vector<int32_t> symbols_;
  std::vector<int64_t> path_;
  const SamplingKernels& kernels_;
};

}  // namespace

CountsPredictor::CountsPredictor(std::shared_ptr<const counts::CountModel> model)
    : Predictor(model->vocab(), model->order()), model_(std::move(model)), has_classes_(model_->knows_beginnings()) {
  set_block(model_->order());
}

Key CountsPredictor::class_of(Key context) const {
  if (!has_classes_) return context;
  const Key symbol = (Key{1} << bits()) - 1;
  return static_cast<Key>(
      model_->longest_known([&](int64_t age) { return static_cast<int32_t>(context >> (age * bits()) & symbol); }));
}

std::unique_ptr<Predictions> CountsPredictor::start(std::shared_ptr<const Predictor> self) const {
  return std::make_unique<CountPredictions>(std::move(self), *this);
}

}  // namespace namegen::sampling
