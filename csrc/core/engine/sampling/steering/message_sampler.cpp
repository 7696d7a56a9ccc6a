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
  return std::min(messages.cells(), std::max(4 * kMessageBatch, kMessageRowBytes / bytes));
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
      next_row_(most_rows_ * padded(spelling_.vocab())),
      cell_(most_rows_),
      row_of_cell_(static_cast<uint32_t*>(std::calloc(messages_->cells(), sizeof(uint32_t)))),
      cumulative_(spelling_.vocab()),
      words_(kTurn * kMessageBatch),
      slot_(kMessageBatch),
      place_(kMessageBatch),
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
  make_room(0, 1);
  std::fill_n(row_.data(), count, row_of(0, 0));
  const int64_t stride = padded(spelling_.vocab());
  int64_t active = count;
  for (int64_t step = 0; active > 0; ++step) {
    if (step % kTurn == 0) {
      kernels_.philox_words(
          {seed, first, slot_.data(), active, static_cast<uint32_t>(step / kTurn), words_.data(), kMessageBatch});
      std::iota(place_.data(), place_.data() + active, 0u);
    }
    const uint32_t* words = words_.data() + step % kTurn * kMessageBatch;
    for (int64_t i = 0; i < active; ++i) word_[i] = words[place_[i]];
    make_room(active, active);
    kernels_.draw_from_rows({rows_, row_.data(), word_.data(), active, symbol_.data()});

    cells_.reserve(step + 1);
    int64_t going_on = 0;
    for (int64_t i = 0; i < active; ++i) {
      const uint32_t symbol = symbol_[i], slot = slot_[i], row = row_[i];
      cells_.put(slot, step, symbol);
      if (symbol == 0) cells_.length()[slot] = step;
      uint32_t next = next_row_[row * stride + symbol];
      if (next == 0) next = find_next(row, symbol);
      row_[going_on] = next - 1;
      __builtin_prefetch(rows_.thresholds + (next - 1) * rows_.width);
      __builtin_prefetch(next_row_.data() + (next - 1) * stride);
      slot_[going_on] = slot;
      place_[going_on] = place_[i];
      going_on += symbol != 0;
    }
    active = going_on;
  }
  cells_.write(count, text);
}

// Forgets all rows where there is room for fewer than `count` further ones, but those of the active names. What is made
// anew comes out as it was, so that forgetting changes no name.
void MessageSampler::make_room(int64_t active, int64_t count) {
  if (most_rows_ == messages_->cells() || num_rows_ + count <= most_rows_) return;
  std::vector<Cell> kept(active);
  for (int64_t i = 0; i < active; ++i) kept[i] = cell_[row_[i]];
  std::fill_n(row_of_cell_.get(), messages_->cells(), 0u);
  num_rows_ = 0;
  for (int64_t i = 0; i < active; ++i) row_[i] = row_of(kept[i].context, kept[i].state);
}

// The row behind a symbol that no name had drawn there before, and 1.
uint32_t MessageSampler::find_next(uint32_t row, uint32_t symbol) {
  const Cell cell = cell_[row];
  const int32_t state = messages_->automaton().after(cell.state, symbol);
  const uint32_t next = row_of(messages_->contexts().next(cell.context)[symbol], static_cast<uint32_t>(state)) + 1;
  return next_row_[row * padded(spelling_.vocab()) + symbol] = next;
}

uint32_t MessageSampler::row_of(uint32_t context, uint32_t state) {
  uint32_t& row = row_of_cell_.get()[state * messages_->contexts().size() + context];
  if (row == 0) {
    cell_[num_rows_] = {context, state};
    make_row({context, state}, static_cast<uint32_t>(num_rows_));
    row = static_cast<uint32_t>(++num_rows_);
  }
  return row - 1;
}

void MessageSampler::make_row(Cell cell, uint32_t row) {
  const Automaton& automaton = messages_->automaton();
  const double* p = messages_->contexts().probabilities(cell.context);
  const uint32_t* next = messages_->contexts().next(cell.context);
  double sum = automaton.accepted[cell.state] != 0 ? p[0] : 0.0;
  cumulative_[0] = sum;
  for (int64_t symbol = 1; symbol < automaton.vocab; ++symbol) {
    const int32_t behind = automaton.after(cell.state, symbol);
    if (behind >= 0) sum += p[symbol] * messages_->of_state(behind)[next[symbol]];
    cumulative_[symbol] = sum;
  }
  for (double& value : cumulative_) value /= sum;
  kernels_.cumulative_to_rows({cumulative_.data(), 1, automaton.vocab, rows_, row});
  uint32_t* behind_symbols = &next_row_[row * padded(spelling_.vocab())];
  std::fill_n(behind_symbols, padded(spelling_.vocab()), 0u);
  behind_symbols[0] = 1;  // behind the end of a name any row will do
}

}  // namespace namegen::sampling
