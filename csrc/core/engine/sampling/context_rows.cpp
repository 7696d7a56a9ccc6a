#include "engine/sampling/context_rows.h"

#include <cmath>
#include <stdexcept>

namespace namegen::sampling {

void check_shaping(const Shaping& shaping, int64_t vocab) {
  if (!(shaping.temperature > 0) || !std::isfinite(shaping.temperature)) {
    throw std::invalid_argument("temperature must be a finite number above 0");
  }
  if (shaping.top_k < 1 || shaping.top_k > vocab) {
    throw std::invalid_argument("top_k must lie from 1 to the number of symbols");
  }
}

ContextRows::ContextRows(const std::shared_ptr<const Predictor>& predictor, Shaping shaping)
    : vocab_(predictor->vocab()),
      shaping_(shaping),
      kernels_(sampling_kernels()),
      predictor_(predictor),
      predictions_(predictor->start(predictor)),
      own_contexts_(predictions_->own_contexts()),
      scratch_(2 * padded(vocab_)) {
  check_shaping(shaping_, vocab_);
}

void ContextRows::compute(const Key* contexts, int64_t count, bool without_end, const Rows& rows, const uint32_t* row) {
  const double* wide_logits = predictions_->wide_logits(contexts, count);
  const float* logits = wide_logits == nullptr ? predictions_->logits(contexts, count) : nullptr;
  const bool finite = kernels_.softmax({logits, padded(vocab_), count, vocab_, shaping_.temperature, shaping_.top_k,
                                        without_end, scratch_.data(), rows, row, wide_logits});
  if (!finite) throw NonFiniteLogits();
}

void ContextRows::probabilities(const Key* contexts, int64_t count, bool without_end, double* output) {
  const double* wide_logits = predictions_->wide_logits(contexts, count);
  const float* logits = wide_logits == nullptr ? predictions_->logits(contexts, count) : nullptr;
  const bool finite = kernels_.probabilities({logits, padded(vocab_), count, vocab_, shaping_.temperature,
                                              shaping_.top_k, without_end, scratch_.data(), output, wide_logits});
  if (!finite) throw NonFiniteLogits();
}

}  // namespace namegen::sampling
