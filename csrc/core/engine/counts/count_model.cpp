#include "engine/counts/count_model.h"

#include <algorithm>
#include <stdexcept>

namespace namegen::counts {

CountModel::CountModel(const ContextTrie& trie, const Smoothed& smoothed)
    : vocab_(trie.vocab), order_(trie.order), oldest_symbol_(trie.oldest_symbol) {
  if (static_cast<int64_t>(smoothed.gain.size()) != trie.pairs() ||
      static_cast<int64_t>(smoothed.backoff.size()) != trie.nodes()) {
    throw std::invalid_argument("gain must be (pairs) and backoff (nodes)");
  }
  nodes_.reserve(trie.nodes() + 1);
  for (int64_t node = 0; node < trie.nodes(); ++node) {
    nodes_.push_back({trie.first_child[node], trie.first_pair[node], smoothed.backoff[node]});
  }
  nodes_.push_back({trie.nodes(), trie.pairs(), 1.0});
  pairs_.reserve(trie.pairs());
  for (int64_t p = 0; p < trie.pairs(); ++p) pairs_.push_back({smoothed.gain[p], trie.pair_symbol[p]});
}

int64_t CountModel::find(const Context& context, int64_t* path) const {
  int64_t node = 0, length = 0;
  path[length++] = node;
  for (int64_t age = 0; age < order_; ++age) {
    const int64_t longer = child(node, context.symbol(age));
    if (longer < 0) break;
    node = longer;
    path[length++] = node;
  }
  return length;
}

int64_t CountModel::child(int64_t node, int32_t symbol) const {
  const int32_t* begin = oldest_symbol_.data() + nodes_[node].first_child;
  const int32_t* end = oldest_symbol_.data() + nodes_[node + 1].first_child;
  const int32_t* found = std::lower_bound(begin, end, symbol);
  return found == end || *found != symbol ? -1 : found - oldest_symbol_.data();
}

// A node's context without its newest symbol is its parent's without that symbol, and the node's oldest symbol before
// it. Nodes stand breadth first, so that a parent is done before its children.
bool CountModel::knows_beginnings() const {
  const auto nodes = static_cast<int64_t>(oldest_symbol_.size());
  std::vector<int64_t> beginning(nodes, 0);  // of the contexts of one symbol: the empty one
  for (int64_t parent = 1; parent < nodes; ++parent) {
    for (int64_t node = nodes_[parent].first_child; node < nodes_[parent + 1].first_child; ++node) {
      beginning[node] = child(beginning[parent], oldest_symbol_[node]);
      if (beginning[node] < 0) return false;
    }
  }
  return true;
}

// From the longest context to the empty one: what the longer ones leave of a shorter one's probabilities is one factor.
template <class T>
void CountModel::distribution(const Context& context, int64_t* path, T* probabilities) const {
  const int64_t length = find(context, path);
  double left = 1;
  for (int64_t i = 0; i < length; ++i) left *= nodes_[path[i]].backoff;
  std::fill_n(probabilities, vocab_, static_cast<T>(left / static_cast<double>(vocab_)));
  left = 1;
  for (int64_t i = length - 1; i >= 0; --i) {
    const Node& node = nodes_[path[i]];
    const int64_t end = nodes_[path[i] + 1].first_pair;
    for (int64_t p = node.first_pair; p < end; ++p) {
      probabilities[pairs_[p].symbol] += static_cast<T>(left * pairs_[p].gain);
    }
    left *= node.backoff;
  }
}
template void CountModel::distribution(const Context&, int64_t*, float*) const;
template void CountModel::distribution(const Context&, int64_t*, double*) const;

double CountModel::probability(const Context& context, int32_t target, int64_t* path) const {
  const int64_t length = find(context, path);
  double probability = 1 / static_cast<double>(vocab_);
  for (int64_t i = 0; i < length; ++i) {
    const Node& node = nodes_[path[i]];
    const Pair* begin = pairs_.data() + node.first_pair;
    const Pair* end = pairs_.data() + nodes_[path[i] + 1].first_pair;
    const Pair* pair = std::lower_bound(begin, end, target, [](const Pair& p, int32_t s) { return p.symbol < s; });
    const double gain = pair < end && pair->symbol == target ? pair->gain : 0.0;
    probability = gain + node.backoff * probability;
  }
  return probability;
}

void find_evidence(const ContextTrie& trie, const ContinuationCounts& counts, const Context& context, int32_t target,
                   int64_t* path, Evidence* evidence) {
  const int64_t length = trie.find(context, path);
  std::fill_n(evidence, trie.order + 1, Evidence{});
  for (int64_t i = 0; i < length; ++i) {
    const int64_t node = path[i], pair = trie.pair(node, target);
    evidence[i].count = pair < 0 ? 0.0 : static_cast<double>(counts.count[pair]);
    evidence[i].total = static_cast<double>(counts.total[node]);
    for (int64_t j = 0; j < 3; ++j) evidence[i].classes[j] = static_cast<double>(counts.classes[3 * node + j]);
  }
}

}  // namespace namegen::counts
