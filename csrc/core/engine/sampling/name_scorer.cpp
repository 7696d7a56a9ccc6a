#include "engine/sampling/name_scorer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace namegen::sampling {

namespace {

// So many symbols are looked up together. Each context that is missing among them is computed once.
constexpr int64_t kScoredTogether = 8192;
constexpr int64_t kScoreMemoBytes = 64 * 1024 * 1024;

int64_t most_scored_rows(int64_t vocab) {
  const int64_t row_bytes = padded(vocab) * static_cast<int64_t>(sizeof(float));
  return std::max(kScoredTogether, std::min(kScoreMemoBytes / row_bytes, int64_t{1} << 19));
}

}  // namespace

NameScorer::NameScorer(std::shared_ptr<const Predictor> predictor, Shaping shaping, bool drawn)
    : predictor_(std::move(predictor)),
      shaping_(shaping),
      drawn_(drawn),
      kernels_(sampling_kernels()),
      predictions_(predictor_->start(predictor_)),
      own_contexts_(predictions_->own_contexts()),
      stride_(padded(predictor_->vocab())),
      scratch_(2 * stride_),
      memo_(most_scored_rows(predictor_->vocab())),
      shaped_(memo_.most_rows() * stride_),
      total_(memo_.most_rows()),
      contexts_(kScoredTogether),
      row_(kScoredTogether) {
  check_shaping(shaping_, predictor_->vocab());
}

void NameScorer::score(const int32_t* symbols, int64_t count, double* nll, const Poll& poll) {
  context_ = 0;
  for (int64_t begin = 0; begin < count; begin += kScoredTogether) {
    try {
      score_part(symbols + begin, std::min(kScoredTogether, count - begin), nll + begin, poll);
    } catch (...) {  // the memo may hold contexts whose rows were not computed
      memo_.forget();
      throw;
    }
  }
}

void NameScorer::score_part(const int32_t* symbols, int64_t count, double* nll, const Poll& poll) {
  const int64_t vocab = predictor_->vocab();
  if (own_contexts_ != nullptr && own_contexts_->is_large()) {
    context_ = own_contexts_->forget_but(context_, predictor_->block());
    memo_.forget();
  }
  for (int64_t i = 0; i < count; ++i) {
    const int32_t symbol = symbols[i];
    if (symbol < 0 || symbol >= vocab) {
      throw std::invalid_argument("symbols must lie in [0, " + std::to_string(vocab) + "), but hold " +
                                  std::to_string(symbol));
    }
    contexts_[i] = context_;
    context_ = symbol == 0 ? Key{0} : append(context_, static_cast<uint32_t>(symbol));
    memo_.prefetch(contexts_[i]);
  }
  memo_.make_room(count);
  missing_.clear();
  missing_row_.clear();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t before = memo_.size();
    row_[i] = memo_.find_or_add(contexts_[i]);
    if (memo_.size() == before) continue;
    if (drawn_ && contexts_[i] == 0) {  // the start of a name
      compute(&contexts_[i], &row_[i], 1, true);
    } else {
      missing_.push_back(contexts_[i]);
      missing_row_.push_back(row_[i]);
    }
  }
  const auto missing = static_cast<int64_t>(missing_.size());
  for (int64_t begin = 0; begin < missing; begin += Predictions::kMostContexts) {
    compute(&missing_[begin], &missing_row_[begin], std::min(Predictions::kMostContexts, missing - begin), false);
    poll();
  }
  poll();
  for (int64_t i = 0; i < count; ++i) {
    nll[i] = total_[row_[i]] - static_cast<double>(shaped_[row_[i] * stride_ + symbols[i]]);
  }
}

void NameScorer::compute(const Key* contexts, const uint32_t* rows, int64_t count, bool without_end) {
  const double* wide_logits = predictions_->wide_logits(contexts, count);
  const float* logits = wide_logits == nullptr ? predictions_->logits(contexts, count) : nullptr;
  const bool finite =
      kernels_.log_totals({logits, stride_, count, predictor_->vocab(), shaping_.temperature, shaping_.top_k,
                           without_end, scratch_.data(), shaped_.data(), total_.data(), rows, wide_logits});
  if (!finite) throw NonFiniteLogits();
  for (int64_t i = 0; i < count; ++i) total_[rows[i]] = std::log(total_[rows[i]]);
}

}  // namespace namegen::sampling
