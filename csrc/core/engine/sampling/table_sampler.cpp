#include "engine/sampling/table_sampler.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace namegen::sampling {

namespace {

// So many names are drawn together: enough to fill vectors and to hide the latency of memory, few enough for the first
// cache.
constexpr int64_t kTableBatch = 512;

int64_t count_contexts(int64_t vocab, int64_t block) {
  if (vocab < 2 || vocab > 65536) {
    throw std::invalid_argument("vocab must lie from 2 to 65,536, but is " + std::to_string(vocab));
  }
  if (block < 1) throw std::invalid_argument("block must be at least 1, but is " + std::to_string(block));
  int64_t contexts = 1;
  for (int64_t i = 0; i < block; ++i) {
    if (contexts > int64_t{kLargestWord - 1} / vocab) {
      throw std::invalid_argument("a table must have fewer than 2^32 contexts");
    }
    contexts *= vocab;
  }
  return contexts;
}

}  // namespace

ContextTable::ContextTable(int64_t vocab, int64_t block)
    : vocab_(vocab),
      num_contexts_(count_contexts(vocab, block)),
      thresholds_(num_rows() * row_width(vocab)),
      last_(num_rows()),
      next_(num_rows()),
      rows_{thresholds_.data(), last_.data(), row_width(vocab)} {
  const int64_t without_oldest = num_contexts_ / vocab_;
  for (int64_t row = 0; row < num_rows(); ++row) {
    next_[row] = static_cast<uint32_t>(row % without_oldest * vocab_);
  }
  // A row that is never set draws the end marker.
  std::fill_n(thresholds_.data(), thresholds_.size(), kLargestWord);
  std::fill_n(last_.data(), last_.size(), 0);
}

ContextTable::ContextTable(const std::shared_ptr<const Predictor>& predictor, Shaping shaping, const Poll& poll)
    : ContextTable(predictor->vocab(), predictor->block()) {
  if (predictor->has_states()) throw std::invalid_argument("a predictor with states has no table");
  ContextRows context_rows(predictor, shaping);
  std::vector<Key> contexts(Predictions::kMostContexts);
  std::vector<uint32_t> row(Predictions::kMostContexts);
  for (int64_t begin = 0; begin < num_contexts_; begin += Predictions::kMostContexts) {
    const int64_t count = std::min(Predictions::kMostContexts, num_contexts_ - begin);
    for (int64_t i = 0; i < count; ++i) contexts[i] = predictor->context_of(begin + i);
    std::iota(row.begin(), row.begin() + count, static_cast<uint32_t>(begin));
    context_rows.compute(contexts.data(), count, false, rows_, row.data());
    poll();
  }
  contexts[0] = predictor->context_of(0);
  row[0] = static_cast<uint32_t>(num_contexts_);
  context_rows.compute(contexts.data(), 1, true, rows_, row.data());
}

void ContextTable::set_rows(int64_t first, int64_t count, const double* cumulative) {
  if (first < 0 || count < 0 || first > num_rows() - count) {
    throw std::invalid_argument("rows must lie from 0 to " + std::to_string(num_rows() - 1));
  }
  for (int64_t row = 0; row < count; ++row) {
    double previous = 0;
    for (int64_t j = 0; j < vocab_; ++j) {
      const double value = cumulative[row * vocab_ + j];
      if (!(value >= previous && value <= 1)) throw std::invalid_argument("cumulative must ascend from 0 to 1");
      previous = value;
    }
    if (previous != 1) throw std::invalid_argument("cumulative must end with 1");
  }
  sampling_kernels().cumulative_to_rows({cumulative, count, vocab_, rows_, first});
}

uint32_t ContextTable::start_row(const std::vector<int32_t>& prefix) const {
  if (prefix.empty()) return static_cast<uint32_t>(num_contexts_);
  uint32_t row = 0;
  for (int32_t symbol : prefix) row = next_[row] + static_cast<uint32_t>(symbol);
  return row;
}

TableSampler::TableSampler(std::shared_ptr<const ContextTable> table, Spelling spelling)
    : table_(std::move(table)),
      spelling_(std::move(spelling)),
      kernels_(sampling_kernels()),
      cells_(spelling_, kTableBatch),
      words_(kTurn * kTableBatch),
      row_(kTableBatch),
      slot_(kTableBatch) {
  if (table_->vocab() != spelling_.vocab()) throw std::invalid_argument("encodings must be as many as the table's");
}

std::unique_ptr<Sampler> TableSampler::copy() const { return std::make_unique<TableSampler>(table_, spelling_); }

void TableSampler::draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) {
  for (int64_t begin = 0; begin < count; begin += kTableBatch) {
    draw_batch(seed, first + static_cast<uint64_t>(begin), std::min(kTableBatch, count - begin), text);
    poll();
  }
}

void TableSampler::draw_batch(uint64_t seed, uint64_t first, int64_t count, std::string& text) {
  std::fill_n(row_.data(), count, table_->start_row(spelling_.prefix));
  std::iota(slot_.data(), slot_.data() + count, 0u);
  int64_t active = count;
  for (int64_t position = 0; active > 0 && position < spelling_.max_steps; position += kTurn) {
    cells_.reserve(position + kTurn);
    const auto block = static_cast<uint32_t>(position / kTurn);
    kernels_.philox_words({seed, first, slot_.data(), active, block, words_.data(), kTableBatch});
    active = kernels_.table_turn({table_->rows(), table_->next(), words_.data(), kTableBatch, active, row_.data(),
                                  slot_.data(), cells_.cells(), cells_.cell_bytes(), cells_.stride(), cells_.code(),
                                  position, cells_.length()});
  }
  cells_.write(count, text);
}

}  // namespace namegen::sampling
