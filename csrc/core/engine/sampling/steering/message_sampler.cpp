#include "engine/sampling/steering/message_sampler.h"

#include <algorithm>
#include <numeric>

#include "engine/require.h"

namespace namegen::sampling {

namespace {

constexpr int64_t kMessageBatch = 1024;
constexpr int64_t kMessageRowBytes = 64 * 1024 * 1024;

int64_t most_rows_of(const Messages& messages) {
  const int64_t bytes = row_width(messages.automaton().vocab) * static_cast<int64_t>(sizeof(uint32_t));
  return std::min(messages.cells(), std::max(kMessageBatch, kMessageRowBytes / bytes));
}

}  // namespace

MessageSampler::MessageSampler(std::shared_ptr<const Messages> messages, Spelling spelling)
    : messages_(std::move(messages)),
      spelling_(std::move(spelling)),
      kernels_(sampling_kernels()),
      cells_(spelling_, kMessageBatch),
      most_rows_(most_rows_of(*messages_)),
      thresholds_(most_rows_ * row_width(spelling_.vocab())),
      last_(most_rows_),
      rows_{thresholds_.data(), last_.data(), row_width(spelling_.vocab())},
      row_of_cell_(static_cast<uint32_t*>(std::calloc(messages_->cells(), sizeof(uint32_t)))),
      cumulative_(spelling_.vocab()),
      words_(kTurn * kMessageBatch),
      slot_(kMessageBatch),
      place_(kMessageBatch),
      context_(kMessageBatch),
      state_(kMessageBatch),
      row_(kMessageBatch),
      word_(kMessageBatch),
      symbol_(kMessageBatch) {
  if (row_of_cell_ == nullptr) throw std::bad_alloc();
  require(messages_->automaton().vocab == spelling_.vocab(), "encodings must be as many as the model's symbols");
  require(messages_->accepted() > 0, "the model's names must be accepted at times, but never are");
}

std::unique_ptr<Sampler> MessageSampler::copy() const { return std::make_unique<MessageSampler>(messages_, spelling_); }

void MessageSampler::draw(uint64_t seed, uint64_t first, int64_t count, std::string& text, const Poll& poll) {
  for (int64_t begin = 0; begin < count; begin += kMessageBatch) {
    draw_batch(seed, first + static_cast<uint64_t>(begin), std::min(kMessageBatch, count - begin), text);
    poll();
  }
}

void MessageSampler::draw_batch(uint64_t seed, uint64_t first, int64_t count, std::string& text) {
  std::iota(slot_.data(), slot_.data() + count, 0u);
  std::fill_n(context_.data(), count, 0u);
  std::fill_n(state_.data(), count, 0u);
  const Automaton& automaton = messages_->automaton();
  int64_t active = count;
  for (int64_t step = 0; active > 0; ++step) {
    if (step % kTurn == 0) {
      kernels_.philox_words(
          {seed, first, slot_.data(), active, static_cast<uint32_t>(step / kTurn), words_.data(), kMessageBatch});
      std::iota(place_.data(), place_.data() + active, 0u);
    }
    const uint32_t* words = words_.data() + step % kTurn * kMessageBatch;
    for (int64_t i = 0; i < active; ++i) word_[i] = words[place_[i]];
    find_rows(active);
    kernels_.draw_from_rows({rows_, row_.data(), word_.data(), active, symbol_.data()});

    cells_.reserve(step + 1);
    int64_t going_on = 0;
    for (int64_t i = 0; i < active; ++i) {
      const uint32_t symbol = symbol_[i], slot = slot_[i];
      cells_.put(slot, step, symbol);
      if (symbol == 0) cells_.length()[slot] = step;
      const uint32_t context = context_[i], state = state_[i];
      context_[going_on] = messages_->contexts().next(context)[symbol];
      state_[going_on] = static_cast<uint32_t>(automaton.after(state, symbol));
      slot_[going_on] = slot;
      place_[going_on] = place_[i];
      going_on += symbol != 0;
    }
    active = going_on;
  }
  cells_.write(count, text);
}

void MessageSampler::find_rows(int64_t active) {
  if (most_rows_ < messages_->cells() && num_rows_ + active > most_rows_) forget();
  const int64_t contexts = messages_->contexts().size();
  uint32_t* row_of_cell = row_of_cell_.get();
  for (int64_t i = 0; i < active; ++i) __builtin_prefetch(row_of_cell + state_[i] * contexts + context_[i]);
  for (int64_t i = 0; i < active; ++i) {
    uint32_t& row = row_of_cell[state_[i] * contexts + context_[i]];
    if (row == 0) {
      make_row(context_[i], state_[i], static_cast<uint32_t>(num_rows_));
      row = static_cast<uint32_t>(++num_rows_);
    }
    row_[i] = row - 1;
    __builtin_prefetch(rows_.thresholds + row_[i] * rows_.width);
  }
}

void MessageSampler::make_row(int64_t context, int64_t state, uint32_t row) {
  const Automaton& automaton = messages_->automaton();
  const double* p = messages_->contexts().probabilities(context);
  const uint32_t* next = messages_->contexts().next(context);
  double sum = automaton.accepted[state] != 0 ? p[0] : 0.0;
  cumulative_[0] = sum;
  for (int64_t symbol = 1; symbol < automaton.vocab; ++symbol) {
    const int32_t behind = automaton.after(state, symbol);
    if (behind >= 0) sum += p[symbol] * messages_->of_state(behind)[next[symbol]];
    cumulative_[symbol] = sum;
  }
  for (double& value : cumulative_) value /= sum;
  kernels_.cumulative_to_rows({cumulative_.data(), 1, automaton.vocab, rows_, row});
}

// What is made anew comes out as it was, so that forgetting changes no name.
void MessageSampler::forget() {
  std::fill_n(row_of_cell_.get(), messages_->cells(), 0u);
  num_rows_ = 0;
}

}  // namespace namegen::sampling
