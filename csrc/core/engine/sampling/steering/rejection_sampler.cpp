#include "engine/sampling/steering/rejection_sampler.h"

#include <algorithm>
#include <numeric>

#include "engine/require.h"
#include "engine/sampling/steering/context_set.h"

namespace namegen::sampling {

namespace {

constexpr int64_t kRejectionBatch = 2048;
constexpr int64_t kRejectionMemoBytes = 64 * 1024 * 1024;

int64_t rows_within(int64_t row_bytes) {
  return std::max(kRejectionBatch, std::min(kRejectionMemoBytes / row_bytes, int64_t{1} << 18));
}
int64_t most_contexts(int64_t vocab) { return rows_within(vocab * static_cast<int64_t>(sizeof(double))); }
int64_t most_pairs(int64_t vocab) { return rows_within(row_width(vocab + 1) * static_cast<int64_t>(sizeof(uint32_t))); }

}  // namespace

RejectionSampler::RejectionSampler(std::shared_ptr<const Predictor> predictor, Shaping shaping,
                                   std::shared_ptr<const Automaton> automaton,
                                   std::shared_ptr<const Beginnings> beginnings, Spelling spelling, Limits limits)
    : predictor_(std::move(predictor)),
      shaping_(shaping),
      automaton_(std::move(automaton)),
      beginnings_(std::move(beginnings)),
      spelling_(std::move(spelling)),
      limits_(limits),
      kernels_(sampling_kernels()),
      cells_(spelling_, kRejectionBatch),
      contexts_(most_contexts(spelling_.vocab())),
      probabilities_(contexts_.most_rows() * spelling_.vocab()),
      pairs_(most_pairs(spelling_.vocab())),
      thresholds_(pairs_.most_rows() * row_width(spelling_.vocab() + 1)),
      last_(pairs_.most_rows()),
      rows_{thresholds_.data(), last_.data(), row_width(spelling_.vocab() + 1)},
      cumulative_(spelling_.vocab() + 1),
      words_(kTurn * kRejectionBatch),
      slot_(kRejectionBatch),
      place_(kRejectionBatch),
      word_(kRejectionBatch),
      symbol_(kRejectionBatch),
      beginning_(kRejectionBatch),
      state_(kRejectionBatch),
      context_(kRejectionBatch),
      listed_row_(kRejectionBatch),
      listed_word_(kRejectionBatch),
      listed_symbol_(kRejectionBatch),
      listed_context_(kRejectionBatch) {
  require(predictor_->vocab() == spelling_.vocab(), "encodings must be as many as the predictor's");
  require(automaton_->vocab == spelling_.vocab(), "the automaton must have the model's symbols");
  require(beginnings_->is_of(*automaton_), "the beginnings must be those of the automaton");
  require(limits_.letters >= 0 && limits_.tries >= 1 && limits_.tries <= int64_t{kLargestWord},
          "letters must be at least 0, and tries from 1 to 2^32 - 1");
  require(beginnings_->bound() > 0, "the model's names must be accepted at times, but never are");
  check_shaping(shaping, predictor_->vocab());
}

std::unique_ptr<Sampler> RejectionSampler::copy() const {
  return std::make_unique<RejectionSampler>(predictor_, shaping_, automaton_, beginnings_, spelling_, limits_);
}

void RejectionSampler::draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) {
  for (int64_t begin = 0; begin < count; begin += kRejectionBatch) {
    try {
      draw_batch(seed, first + static_cast<uint64_t>(begin), std::min(kRejectionBatch, count - begin), text, poll);
    } catch (const TooFewAccepted&) {
      throw;
    } catch (...) {  // the memos may hold what was not computed
      contexts_.forget();
      pairs_.forget();
      throw;
    }
  }
}

void RejectionSampler::draw_batch(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) {
  if (context_rows_ == nullptr) context_rows_ = std::make_unique<ContextRows>(predictor_, shaping_);
  if (context_rows_->forget_contexts()) {
    contexts_.forget();
    pairs_.forget();
  }
  start_ = context_rows_->start(spelling_.prefix);
  wanted_.resize(count);
  std::iota(wanted_.begin(), wanted_.end(), 0u);
  for (int64_t attempt = 0; !wanted_.empty() && attempt < limits_.tries; ++attempt) {
    const auto tried = static_cast<int64_t>(wanted_.size());
    try_once(seed, first, static_cast<uint32_t>(attempt), poll);
    tries_ += tried;
    accepted_ += tried - static_cast<int64_t>(wanted_.size());
  }
  if (wanted_.empty()) {
    cells_.write(count, text);
    return;
  }
  if (limits_.writes_rejected) {
    write_found(count, text);
    return;
  }
  cells_.write(*std::min_element(wanted_.begin(), wanted_.end()), text);
  throw TooFewAccepted(limits_.tries, accepted_, tries_);
}

// Writes all names of a batch, and kRejected in place of those that are still wanted.
void RejectionSampler::write_found(int64_t count, std::string& text) {
  for (const uint32_t slot : wanted_) cells_.length()[slot] = 0;
  std::vector<bool> is_wanted(count, false);
  for (const uint32_t slot : wanted_) is_wanted[slot] = true;
  std::string names;
  cells_.write(count, names);
  size_t begin = 0;
  for (int64_t slot = 0; slot < count; ++slot) {
    const size_t end = names.find('\n', begin) + 1;
    if (is_wanted[slot]) {
      text += kRejected;
      text += '\n';
    } else {
      text.append(names, begin, end - begin);
    }
    begin = end;
  }
}

// Draws each wanted name once. Those that are rejected stay wanted.
void RejectionSampler::try_once(uint64_t seed, uint64_t first, uint32_t attempt, const Poll& poll) {
  auto active = static_cast<int64_t>(wanted_.size());
  std::copy_n(wanted_.data(), active, slot_.data());
  wanted_.clear();
  std::fill_n(beginning_.data(), active, 0);
  std::fill_n(state_.data(), active, 0);
  std::fill_n(context_.data(), active, start_);
  const auto rejection = static_cast<uint32_t>(spelling_.vocab());
  for (int64_t step = 0; active > 0; ++step) {
    if (step % kTurn == 0) {
      kernels_.philox_words({seed, first, slot_.data(), active, static_cast<uint32_t>(step / kTurn), words_.data(),
                             kRejectionBatch, attempt});
      std::iota(place_.data(), place_.data() + active, 0u);
    }
    const uint32_t* words = words_.data() + step % kTurn * kRejectionBatch;
    for (int64_t i = 0; i < active; ++i) word_[i] = words[place_[i]];
    draw_symbols(active, step, poll);

    cells_.reserve(step + 1);
    int64_t going_on = 0;
    for (int64_t i = 0; i < active; ++i) {
      const uint32_t symbol = symbol_[i], slot = slot_[i];
      if (symbol == rejection) {
        wanted_.push_back(slot);
        continue;
      }
      if (symbol == 0) {
        cells_.length()[slot] = step;
        continue;
      }
      cells_.put(slot, step, symbol);
      beginning_[going_on] = beginning_[i] < 0 ? -1 : beginnings_->child(beginning_[i], symbol);
      state_[going_on] = automaton_->after(state_[i], symbol);
      context_[going_on] = context_rows_->append(context_[i], symbol);
      slot_[going_on] = slot;
      place_[going_on] = place_[i];
      ++going_on;
    }
    active = going_on;
    poll();
  }
}

// Draws a symbol for each active name: those in the tree from its rows, and the others from rows of their contexts.
void RejectionSampler::draw_symbols(int64_t active, int64_t step, const Poll& poll) {
  listed_.clear();
  for (int64_t i = 0; i < active; ++i) {
    if (beginning_[i] >= 0) listed_.push_back(static_cast<uint32_t>(i));
  }
  for (size_t i = 0; i < listed_.size(); ++i) listed_row_[i] = static_cast<uint32_t>(beginning_[listed_[i]]);
  draw_listed(beginnings_->rows());
  if (static_cast<int64_t>(listed_.size()) == active) return;

  listed_.clear();
  for (int64_t i = 0; i < active; ++i) {
    if (beginning_[i] < 0) listed_.push_back(static_cast<uint32_t>(i));
  }
  find_contexts(poll);
  find_rows(step >= limits_.letters);
  draw_listed(rows_);
}

void RejectionSampler::draw_listed(const Rows& rows) {
  const auto count = static_cast<int64_t>(listed_.size());
  for (int64_t i = 0; i < count; ++i) listed_word_[i] = word_[listed_[i]];
  kernels_.draw_from_rows({rows, listed_row_.data(), listed_word_.data(), count, listed_symbol_.data()});
  for (int64_t i = 0; i < count; ++i) symbol_[listed_[i]] = listed_symbol_[i];
}

// Finds the number of each listed name's context. What is missing of the contexts is computed, once for each.
void RejectionSampler::find_contexts(const Poll& poll) {
  const auto count = static_cast<int64_t>(listed_.size());
  if (contexts_.size() + count > contexts_.most_rows() || pairs_.size() + count > pairs_.most_rows()) {
    contexts_.forget();
    pairs_.forget();
  }
  missing_.clear();
  const int64_t known = contexts_.size();
  for (int64_t i = 0; i < count; ++i) contexts_.prefetch(context_[listed_[i]]);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t before = contexts_.size();
    listed_context_[i] = contexts_.find_or_add(context_[listed_[i]]);
    if (contexts_.size() > before) missing_.push_back(context_[listed_[i]]);
  }
  const auto missing = static_cast<int64_t>(missing_.size());
  for (int64_t begin = 0; begin < missing; begin += Predictions::kMostContexts) {
    const int64_t n = std::min(Predictions::kMostContexts, missing - begin);
    double* output = probabilities_.data() + (known + begin) * spelling_.vocab();
    context_rows_->probabilities(&missing_[begin], n, false, output);
    poll();
  }
}

void RejectionSampler::find_rows(bool is_full) {
  const auto count = static_cast<int64_t>(listed_.size());
  const auto states = static_cast<Key>(automaton_->states());
  const auto key_of = [&](int64_t i) {
    const Key pair = listed_context_[i] * states + static_cast<Key>(state_[listed_[i]]);
    return 2 * pair + (is_full ? 1 : 0);
  };
  for (int64_t i = 0; i < count; ++i) pairs_.prefetch(key_of(i));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t before = pairs_.size();
    listed_row_[i] = pairs_.find_or_add(key_of(i));
    if (pairs_.size() > before) make_row(listed_context_[i], state_[listed_[i]], is_full, listed_row_[i]);
  }
}

// The symbols after which a name can still be accepted, with their probabilities, and a rejection with all the rest.
void RejectionSampler::make_row(uint32_t context, int64_t state, bool is_full, uint32_t row) {
  const double* p = probabilities_.data() + context * spelling_.vocab();
  const int64_t vocab = spelling_.vocab();
  double sum = automaton_->accepted[state] != 0 ? p[0] : 0.0;
  double rest = p[0] - sum;
  cumulative_[0] = sum;
  for (int64_t symbol = 1; symbol < vocab; ++symbol) {
    (!is_full && automaton_->after(state, symbol) >= 0 ? sum : rest) += p[symbol];
    cumulative_[symbol] = sum;
  }
  for (double& value : cumulative_) value /= sum + rest;
  cumulative_[vocab] = 1;
  kernels_.cumulative_to_rows({cumulative_.data(), 1, vocab + 1, rows_, row});
}

}  // namespace namegen::sampling
