#include "engine/sampling/conditioned.h"

#include <algorithm>
#include <array>
#include <vector>

#include "engine/require.h"
#include "engine/sampling/aligned_array.h"
#include "engine/sampling/context_tree.h"
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

  ContextTree* own_contexts() override { return predictions_->own_contexts(); }

  const float* logits(const Key* contexts, int64_t count) override {
    find_own(contexts, count);
    copy_rows(predictions_->logits(own_.data(), count), count, logits_);
    return logits_.data();
  }

  const double* wide_logits(const Key* contexts, int64_t count) override {
    find_own(contexts, count);
    const double* found = predictions_->wide_logits(own_.data(), count);
    if (found == nullptr) return nullptr;
    if (wide_logits_.size() == 0) {
      wide_logits_ = AlignedArray<double>(kMostContexts * stride_);
      std::fill_n(wide_logits_.data(), wide_logits_.size(), 0.0);
    }
    copy_rows(found, count, wide_logits_);
    return wide_logits_.data();
  }

 private:
  void find_own(const Key* contexts, int64_t count) {
    ContextTree* tree = predictions_->own_contexts();
    for (int64_t i = 0; i < count; ++i) {
      own_[i] =
          tree != nullptr ? conditioned_.with_category(*tree, contexts[i]) : conditioned_.with_category(contexts[i]);
    }
  }
  template <class T>
  void copy_rows(const T* found, int64_t count, AlignedArray<T>& rows) const {
    const int64_t vocab = conditioned_.vocab(), found_stride = padded(conditioned_.predictor_->vocab());
    for (int64_t i = 0; i < count; ++i) std::copy_n(found + i * found_stride, vocab, rows.data() + i * stride_);
  }

  std::shared_ptr<const Predictor> owner_;
  const Conditioned& conditioned_;
  std::unique_ptr<Predictions> predictions_;
  int64_t stride_;
  AlignedArray<float> logits_;
  AlignedArray<double> wide_logits_;
  std::array<Key, kMostContexts> own_;
};

Conditioned::Conditioned(std::shared_ptr<const Predictor> predictor, int64_t category, int64_t vocab, Place place)
    : Predictor(vocab, predictor->block() - 1), predictor_(std::move(predictor)), category_(category), place_(place) {
  require(category >= vocab && category < predictor_->vocab(), "a category must be a symbol behind those of names");
  require(has_own_contexts() || !predictor_->has_states(),
          "a category must be one of a predictor that sees the last symbols alone");
  require(place == Place::kOldest || (!has_own_contexts() && !predictor_->sees_starts()),
          "a category can be the newest symbol of a predictor that sees the last symbols alone");
  if (has_own_contexts()) {
    set_states();
  } else {
    set_block(predictor_->block() - 1);
  }
}

Key Conditioned::with_category(Key context) const {
  const int own_bits = predictor_->bits();
  const Key symbol = (Key{1} << bits()) - 1;
  int64_t length = block();
  if (predictor_->sees_starts()) {  // the letters behind the last 0
    length = 0;
    while (length < block() && (context >> (length * bits()) & symbol) != 0) ++length;
  }
  Key letters = 0;
  for (int64_t age = 0; age < length; ++age) letters |= (context >> (age * bits()) & symbol) << (age * own_bits);
  const auto category = static_cast<Key>(category_);
  if (place_ == Place::kNewest) return letters << own_bits | category;
  return category << (length * own_bits) | letters;
}

// A name that fits has its start before the category; of a longer one there are only its last letters.
Key Conditioned::with_category(ContextTree& tree, Key context) const {
  const int64_t width = predictor_->block();
  std::vector<int32_t> symbols(width - 1);
  symbols.resize(tree.last_symbols(context, width - 1, symbols.data()));
  std::vector<int64_t> window;
  if (symbols[0] == 0) window.push_back(0);
  window.push_back(category_);
  for (const int32_t letter : symbols) {
    if (letter != 0) window.push_back(letter);
  }
  return tree.context_of_window(window.data(), static_cast<int64_t>(window.size()));
}

std::unique_ptr<Predictions> Conditioned::start(std::shared_ptr<const Predictor> self) const {
  return std::make_unique<ConditionedPredictions>(std::move(self), *this);
}

}  // namespace namegen::sampling
