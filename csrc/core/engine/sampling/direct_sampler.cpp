#include "engine/sampling/direct_sampler.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace namegen::sampling {

namespace {

// So many names are drawn together. The contexts of one step are computed together, each of them once.
constexpr int64_t kDirectBatch = 2048;
constexpr int64_t kMemoBytes = 64 * 1024 * 1024;

int64_t most_rows(int64_t vocab) {
  const int64_t row_bytes = row_width(vocab) * static_cast<int64_t>(sizeof(uint32_t));
  return std::max(kDirectBatch, std::min(kMemoBytes / row_bytes, int64_t{1} << 18));
}

}  // namespace

DirectSampler::DirectSampler(std::shared_ptr<const Predictor> predictor, Shaping shaping, Spelling spelling)
    : predictor_(std::move(predictor)),
      shaping_(shaping),
      spelling_(std::move(spelling)),
      kernels_(sampling_kernels()),
      cells_(spelling_, kDirectBatch),
      memo_(most_rows(predictor_->vocab())),
      thresholds_((memo_.most_rows() + 1) * row_width(predictor_->vocab())),
      last_(memo_.most_rows() + 1),
      rows_{thresholds_.data(), last_.data(), row_width(predictor_->vocab())},
      first_row_(static_cast<uint32_t>(memo_.most_rows())),
      words_(kTurn * kDirectBatch),
      slot_(kDirectBatch),
      place_(kDirectBatch),
      row_(kDirectBatch),
      word_(kDirectBatch),
      symbol_(kDirectBatch),
      context_(kDirectBatch) {
  if (predictor_->vocab() != spelling_.vocab())
    throw std::invalid_argument("encodings must be as many as the predictor's");
  check_shaping(shaping, predictor_->vocab());
}

std::unique_ptr<Sampler> DirectSampler::copy() const {
  return std::make_unique<DirectSampler>(predictor_, shaping_, spelling_);
}

void DirectSampler::draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) {
  for (int64_t begin = 0; begin < count; begin += kDirectBatch) {
    try {
      draw_batch(seed, first + static_cast<uint64_t>(begin), std::min(kDirectBatch, count - begin), text, poll);
    } catch (...) {  // the memo may hold contexts whose rows were not computed
      memo_.forget();
      throw;
    }
  }
}

void DirectSampler::begin_batch() {
  if (context_rows_ == nullptr) context_rows_ = std::make_unique<ContextRows>(predictor_, shaping_);
  if (context_rows_->forget_contexts()) memo_.forget();
  start_ = context_rows_->start(spelling_.prefix);
}

void DirectSampler::draw_batch(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) {
  begin_batch();
  std::iota(slot_.data(), slot_.data() + count, 0u);
  std::fill_n(context_.data(), count, start_);
  std::fill_n(cells_.length(), count, spelling_.max_steps);
  int64_t active = count;
  for (int64_t step = 0; active > 0 && step < spelling_.max_steps; ++step) {
    if (step % kTurn == 0) {
      kernels_.philox_words(
          {seed, first, slot_.data(), active, static_cast<uint32_t>(step / kTurn), words_.data(), kDirectBatch});
      std::iota(place_.data(), place_.data() + active, 0u);
    }
    const uint32_t* words = words_.data() + step % kTurn * kDirectBatch;
    for (int64_t i = 0; i < active; ++i) word_[i] = words[place_[i]];
    if (step == 0 && spelling_.prefix.empty()) {
      if (!has_first_row_) compute(&start_, &first_row_, 1, true);
      has_first_row_ = true;
      std::fill_n(row_.data(), active, first_row_);
    } else {
      find_rows(active, poll);
    }
    kernels_.draw_from_rows({rows_, row_.data(), word_.data(), active, symbol_.data()});

    cells_.reserve(step + 1);
    int64_t going_on = 0;
    for (int64_t i = 0; i < active; ++i) {
      const uint32_t symbol = symbol_[i], slot = slot_[i];
      cells_.put(slot, step, symbol);
      if (symbol == 0) cells_.length()[slot] = step;
      context_[going_on] = context_rows_->append(context_[i], symbol);
      slot_[going_on] = slot;
      place_[going_on] = place_[i];
      going_on += symbol != 0;
    }
    active = going_on;
    poll();
  }
  cells_.write(count, text);
}

// Finds the rows of the contexts of all active names. Missing rows are computed, once for each context.
void DirectSampler::find_rows(int64_t active, const Poll& poll) {
  memo_.make_room(active);
  missing_.clear();
  missing_row_.clear();
  for (int64_t i = 0; i < active; ++i) memo_.prefetch(context_[i]);
  for (int64_t i = 0; i < active; ++i) {
    const int64_t before = memo_.size();
    row_[i] = memo_.find_or_add(context_[i]);
    if (memo_.size() > before) {
      missing_.push_back(context_[i]);
      missing_row_.push_back(row_[i]);
    }
  }
  const auto missing = static_cast<int64_t>(missing_.size());
  for (int64_t begin = 0; begin < missing; begin += Predictions::kMostContexts) {
    const int64_t n = std::min(Predictions::kMostContexts, missing - begin);
    compute(&missing_[begin], &missing_row_[begin], n, false);
    poll();
  }
}

void DirectSampler::compute(const Key* contexts, const uint32_t* rows, int64_t count, bool without_end) {
  context_rows_->compute(contexts, count, without_end, rows_, rows);
}

}  // namespace namegen::sampling
