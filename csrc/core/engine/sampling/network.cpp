#include "engine/sampling/network.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "engine/require.h"

namespace namegen::sampling {

namespace {

constexpr int kTableBits = 12;                     // groups of up to so many bits have a table
constexpr int64_t kStoreBytes = 64 * 1024 * 1024;  // the most bytes of a memo's rows
constexpr int64_t kMostMemoRows = int64_t{1} << 20;

}  // namespace

Network::Network(int64_t vocab, int64_t block) : Predictor(vocab, block) {}

void Network::set_embedding(const float* embedding, int64_t rows, int64_t embedding_dim) {
  embedding_stride_ = padded(embedding_dim);
  embedding_ = AlignedArray<float>(rows * embedding_stride_);
  std::fill_n(embedding_.data(), embedding_.size(), 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(embedding + row * embedding_dim, embedding_dim, &embedding_[row * embedding_stride_]);
  }
}

Network Network::of_table(int64_t vocab, int64_t block, const float* logits) {
  Network network(vocab, block);
  const int64_t contexts = network.num_contexts();
  network.set_block(block);
  network.set_embedding(logits, contexts, vocab);
  return network;
}

Network::Network(int64_t vocab, int64_t embedding_dim, std::vector<float> embedding, std::vector<Level> levels)
    : Network(vocab, 1) {
  require(embedding_dim >= 1 && static_cast<int64_t>(embedding.size()) == vocab * embedding_dim,
          "embedding must be (vocab, embedding_dim)");
  require(!levels.empty() && levels.back().out == vocab, "the last level must have an output for each symbol");
  set_embedding(embedding.data(), vocab, embedding_dim);

  int64_t features = embedding_dim;
  for (const Level& level : levels) {
    require(level.factor >= 1 && level.in == features && level.out >= 1, "levels must follow on each other");
    require(static_cast<int64_t>(level.weight.size()) == level.out * level.factor * level.in &&
                static_cast<int64_t>(level.bias.size()) == level.out,
            "a level's weight must be (out, factor * in) and its bias (out)");
    Part part{level.factor, block(), level.in, padded(level.out), level.tanh, {}, {}};
    part.bias = AlignedArray<float>(part.out);
    std::fill_n(part.bias.data(), part.out, 0.0f);
    std::copy_n(level.bias.data(), level.out, part.bias.data());
    // Each position has weights of its own, (out, in) with rows of zeros behind them.
    part.packed = AlignedArray<float>(level.factor * packed_size(level.in, part.out));
    std::vector<float> weight(part.out * level.in, 0.0f);
    for (int64_t j = 0; j < level.factor; ++j) {
      for (int64_t o = 0; o < level.out; ++o) {
        std::copy_n(&level.weight[(o * level.factor + j) * level.in], level.in, &weight[o * level.in]);
      }
      float* packed = part.packed.data() + j * packed_size(level.in, part.out);
      sampling_kernels().pack_weight(weight.data(), level.in, part.out, packed);
    }
    parts_.push_back(std::move(part));
    features = level.out;
    set_block(block() * level.factor);
  }
  while (joining_ < parts_.size() && parts_[joining_].span < block()) ++joining_;
}

std::unique_ptr<Predictions> Network::start(std::shared_ptr<const Predictor> self) const {
  return std::make_unique<Evaluation>(std::shared_ptr<const Network>(std::move(self), this));
}

Evaluation::Evaluation(std::shared_ptr<const Network> network)
    : network_(std::move(network)), kernels_(sampling_kernels()), iota_(kMostContexts) {
  std::iota(iota_.begin(), iota_.end(), 0u);
  int64_t widest = network_->embedding_stride_;
  for (const Network::Part& part : network_->parts_) widest = std::max(widest, part.out);
  products_ = AlignedArray<float>(kMostContexts * widest);
  for (AlignedArray<float>& hidden : hidden_) hidden = AlignedArray<float>(kMostContexts * widest);

  for (size_t level = 0; level < network_->joining_; ++level) {
    const Network::Part& part = network_->parts_[level];
    const int64_t key_bits = part.span * network_->bits();
    const bool holds_all = key_bits <= kTableBits;
    const int64_t position_bytes = part.factor * part.out * static_cast<int64_t>(sizeof(float));
    const int64_t capacity = holds_all ? int64_t{1} << key_bits
                                       : std::max(kMostContexts, std::min(kStoreBytes / position_bytes, kMostMemoRows));
    std::vector<Memo> memos(holds_all ? 0 : part.factor, Memo(capacity));
    AlignedArray<float> rows(part.factor * capacity * part.out);
    stores_.push_back({holds_all, capacity, part.out, std::move(rows), std::move(memos), {}, {}, {}, {}});
    if (holds_all) tabulate(level);
  }
}

const float* Evaluation::logits(const Key* contexts, int64_t count) {
  const std::vector<Network::Part>& parts = network_->parts_;
  if (parts.empty()) return table_logits(contexts, count);
  const float* input = inputs_of(network_->joining_, contexts, count);
  int which = 0;
  // The levels that are left have the whole context before them and join nothing.
  for (size_t level = network_->joining_; level < parts.size(); ++level, which ^= 1) {
    const Network::Part& part = parts[level];
    const int64_t input_stride = level > 0 ? parts[level - 1].out : network_->embedding_stride_;
    kernels_.product({input, input_stride, part.packed_for(0), part.in, part.out, count, products_.data(), part.out});
    kernels_.gathered_sum({products_.data(), part.out, 0, 1, iota_.data(), part.bias.data(), count, part.out, part.tanh,
                           hidden_[which].data(), part.out});
    input = hidden_[which].data();
  }
  return input;
}

// Gathers the rows of a table of logits.
const float* Evaluation::table_logits(const Key* contexts, int64_t count) {
  const int64_t stride = network_->embedding_stride_;
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(&network_->embedding_[network_->number_of(contexts[i]) * stride], stride, &products_[i * stride]);
  }
  return products_.data();
}

// The input of a level for groups of its span: (count, stride) features.
const float* Evaluation::inputs_of(size_t level, const Key* groups, int64_t count) {
  if (level == 0) {
    AlignedArray<float>& output = hidden_[1];
    const int64_t stride = network_->embedding_stride_;
    for (int64_t i = 0; i < count; ++i) {
      std::copy_n(&network_->embedding_[static_cast<int64_t>(groups[i]) * stride], stride, &output[i * stride]);
    }
    return output.data();
  }
  const Network::Part& part = network_->parts_[level - 1];
  Store& store = stores_[level - 1];
  find_rows(level - 1, groups, count);
  if (store.output.size() < count * part.out) store.output = AlignedArray<float>(count * part.out);
  kernels_.gathered_sum({store.rows.data(), part.out, store.capacity * part.out, part.factor, store.index.data(),
                         part.bias.data(), count, part.out, part.tanh, store.output.data(), part.out});
  return store.output.data();
}

// A level adds up products for each of some contexts, which are groups of the next level's span. Writes where the
// products stand to store.index (count, factor). Missing ones are computed.
void Evaluation::find_rows(size_t level, const Key* contexts, int64_t count) {
  const Network::Part& part = network_->parts_[level];
  Store& store = stores_[level];
  const int64_t bits = part.span * network_->bits();
  const Key mask = (Key{1} << bits) - 1;
  store.index.resize(count * part.factor);
  store.groups.resize(count);
  for (int64_t position = 0; position < part.factor; ++position) {
    const int64_t shift = bits * (part.factor - 1 - position);  // the oldest group has the highest bits
    uint32_t* index = store.index.data() + position;            // one of every part.factor numbers
    if (store.holds_all) {
      for (int64_t i = 0; i < count; ++i) index[i * part.factor] = static_cast<uint32_t>(contexts[i] >> shift & mask);
      continue;
    }
    Memo& memo = store.memos[position];
    memo.make_room(count);
    const int64_t first_new = memo.size();
    for (int64_t i = 0; i < count; ++i) memo.prefetch(store.groups[i] = contexts[i] >> shift & mask);
    store.missing.clear();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t before = memo.size();
      const uint32_t row = memo.find_or_add(store.groups[i]);
      index[i * part.factor] = row;
      if (memo.size() > before) {
        store.missing.push_back(store.groups[i]);
      } else {  // rows lie all over the memo: prefetched, this one has come when the sum is formed
        for (int64_t h = 0; h < part.out; h += 16) __builtin_prefetch(store.row(position, row) + h, 0, 2);
      }
    }
    const auto missing = static_cast<int64_t>(store.missing.size());
    if (missing > 0) fill(level, position, store.missing.data(), missing, store.row(position, first_new));
  }
}

// Computes the products of some groups with the weights of one position.
void Evaluation::fill(size_t level, int64_t position, const Key* groups, int64_t count, float* rows) {
  const Network::Part& part = network_->parts_[level];
  const int64_t input_stride = level > 0 ? network_->parts_[level - 1].out : network_->embedding_stride_;
  for (int64_t begin = 0; begin < count; begin += kMostContexts) {
    const int64_t n = std::min(kMostContexts, count - begin);
    const float* input = inputs_of(level, groups + begin, n);
    kernels_.product(
        {input, input_stride, part.packed_for(position), part.in, part.out, n, rows + begin * part.out, part.out});
  }
}

// Fills a store that holds all groups. A symbol takes whole bits, so not every code stands for a group. Groups that
// differ in their newest symbol alone have consecutive codes.
void Evaluation::tabulate(size_t level) {
  const Network::Part& part = network_->parts_[level];
  Store& store = stores_[level];
  std::fill_n(store.rows.data(), store.rows.size(), 0.0f);
  const int bits = network_->bits();
  const int64_t vocab = network_->vocab();
  std::vector<Key> groups(vocab);
  for (int64_t older = 0; older < int64_t{1} << (part.span - 1) * bits; ++older) {
    bool exists = true;
    for (int64_t rest = older; rest > 0; rest >>= bits) exists &= (rest & ((int64_t{1} << bits) - 1)) < vocab;
    if (!exists) continue;
    const int64_t first = older << bits;
    for (int64_t symbol = 0; symbol < vocab; ++symbol) groups[symbol] = static_cast<Key>(first + symbol);
    for (int64_t position = 0; position < part.factor; ++position) {
      fill(level, position, groups.data(), vocab, store.row(position, first));
    }
  }
}

}  // namespace namegen::sampling
