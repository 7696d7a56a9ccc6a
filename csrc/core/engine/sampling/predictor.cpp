#include "engine/sampling/predictor.h"

#include <stdexcept>

#include "engine/require.h"
#include "engine/sampling/sampling_kernels.h"

namespace namegen::sampling {

const double* Predictions::wide_logits(const Key*, int64_t) { return nullptr; }
ContextTree* Predictions::own_contexts() { return nullptr; }

Predictor::Predictor(int64_t vocab, int64_t block) : vocab_(vocab), block_(block) {
  require(vocab >= 2 && vocab <= 65536, "vocab must lie from 2 to 65,536, but is " + std::to_string(vocab));
  require(block >= 1, "block must be at least 1, but is " + std::to_string(block));
  while ((int64_t{1} << bits_) < vocab) ++bits_;
}

void Predictor::set_block(int64_t block, int key_bits) {
  require(block * bits_ <= key_bits, "a context must fit into " + std::to_string(key_bits) + " bits, but has " +
                                         std::to_string(block * bits_) + " or more");
  block_ = block;
  mask_ = ~Key{0} >> (kKeyBits - block_ * bits_);
}

int64_t Predictor::num_contexts() const {
  int64_t contexts = 1;
  for (int64_t i = 0; i < block_; ++i) {
    require(contexts <= int64_t{kLargestWord - 1} / vocab_, "a table must have fewer than 2^32 contexts");
    contexts *= vocab_;
  }
  return contexts;
}

Key Predictor::context_of(int64_t number) const {
  Key context = 0;
  for (int64_t position = 0; position < block_; ++position) {
    context |= static_cast<Key>(number % vocab_) << (position * bits_);
    number /= vocab_;
  }
  return context;
}

int64_t Predictor::number_of(Key context) const {
  const Key symbol = (Key{1} << bits_) - 1;
  int64_t number = 0;
  for (int64_t position = block_ - 1; position >= 0; --position) {
    number = number * vocab_ + static_cast<int64_t>(context >> (position * bits_) & symbol);
  }
  return number;
}

// A window without a 0 does not hold the start of its name: what the predictor makes of whole names is not known of it.
Key Predictor::context_of_window(const int64_t* symbols, int64_t width) const {
  int64_t start = has_states_ ? width : 0;
  while (start > 0 && symbols[start - 1] != 0) --start;
  const bool holds_start = start > 0;
  Key context = 0;
  for (int64_t i = start; i < width; ++i) {
    const auto symbol = static_cast<uint32_t>(symbols[i]);
    context = holds_start ? append(context, symbol) : (context << bits_ | symbol) & mask_;
  }
  return context;
}

bool Predictor::has_classes() const { return false; }
Key Predictor::class_of(Key context) const { return context; }

Key Predictor::next_state(Key, uint32_t) const { throw std::logic_error("the contexts belong to the predictions"); }

}  // namespace namegen::sampling
