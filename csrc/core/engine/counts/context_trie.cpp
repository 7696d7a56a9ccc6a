#include "engine/counts/context_trie.h"

#include <algorithm>
#include <string>

#include "engine/require.h"

namespace namegen::counts {

namespace {

constexpr double kMostCounts = 9007199254740992.0;  // 2^53: whole numbers up to here are exact

// The place of a symbol among ascending ones; -1 where it is not among them.
int64_t place_of(const int32_t* symbols, int64_t begin, int64_t end, int32_t symbol) {
  const int32_t* found = std::lower_bound(symbols + begin, symbols + end, symbol);
  return found < symbols + end && *found == symbol ? found - symbols : -1;
}

int64_t bits_for(int64_t vocab) {
  int64_t bits = 1;
  while (int64_t{1} << bits < vocab) ++bits;
  return bits;
}

// An example's place in the order of contexts, newest symbol first, and then of targets: what fits of its context into
// 64 bits, and the rest by looking.
struct Sorted {
  uint64_t newest;
  int64_t example;
};

std::vector<Sorted> sorted_by_context(const std::vector<Example>& examples, int64_t vocab, int64_t order) {
  const int64_t bits = bits_for(vocab), packed = std::min(order, 64 / bits);
  std::vector<Sorted> sorted(examples.size());
  for (size_t i = 0; i < examples.size(); ++i) {
    uint64_t key = 0;
    for (int64_t age = 0; age < packed; ++age) key = key << bits | uint64_t(examples[i].context.symbol(age));
    sorted[i] = {key, static_cast<int64_t>(i)};
  }
  std::sort(sorted.begin(), sorted.end(), [&](const Sorted& a, const Sorted& b) {
    if (a.newest != b.newest) return a.newest < b.newest;
    const Example &x = examples[a.example], &y = examples[b.example];
    for (int64_t age = packed; age < order; ++age) {
      const int32_t s = x.context.symbol(age), t = y.context.symbol(age);
      if (s != t) return s < t;
    }
    return x.target < y.target;
  });
  return sorted;
}

// Adds up what followed in a run of examples, and appends it to the pairs.
class PairCounter {
 public:
  explicit PairCounter(int64_t vocab) : counts_(vocab, 0) {}

  void add(const Example& example) {
    if (counts_[example.target] == 0) seen_.push_back(example.target);
    counts_[example.target] += example.count;
  }
  void append_to(ContextTrie& trie) {
    std::sort(seen_.begin(), seen_.end());
    for (int32_t symbol : seen_) {
      trie.pair_symbol.push_back(symbol);
      trie.pair_count.push_back(counts_[symbol]);
      counts_[symbol] = 0;
    }
    seen_.clear();
    trie.first_pair.push_back(trie.pairs());
  }

 private:
  std::vector<double> counts_;  // (vocab)
  std::vector<int32_t> seen_;
};

void check_examples(const std::vector<Example>& examples, int64_t vocab, int64_t order) {
  const auto is_symbol = [&](int32_t symbol) { return symbol >= 0 && symbol < vocab; };
  double total = 0;
  for (const Example& example : examples) {
    require(example.count > 0 && example.count <= kMostCounts - total, "counts must be above 0, and 2^53 in all");
    total += example.count;
    require(is_symbol(example.target), "targets must lie in [0, vocab)");
    const int64_t known = std::min<int64_t>(example.context.known, order);
    for (int64_t age = 0; age < known; ++age) {
      require(is_symbol(example.context.symbol(age)), "symbols must lie in [0, vocab)");
    }
  }
}

void check_offsets(const std::vector<int64_t>& offsets, int64_t nodes, int64_t first, int64_t last, const char* name) {
  const std::string what = std::string(name) + " must ascend from " + std::to_string(first) + " to " +
                           std::to_string(last) + " in nodes + 1 steps";
  require(static_cast<int64_t>(offsets.size()) == nodes + 1 && offsets.front() == first && offsets.back() == last,
          what);
  require(std::is_sorted(offsets.begin(), offsets.end()), what);
}

}  // namespace

int64_t ContextTrie::child(int64_t node, int32_t symbol) const {
  return place_of(oldest_symbol.data(), first_child[node], first_child[node + 1], symbol);
}

int64_t ContextTrie::pair(int64_t node, int32_t symbol) const {
  return place_of(pair_symbol.data(), first_pair[node], first_pair[node + 1], symbol);
}

int64_t ContextTrie::find(const Context& context, int64_t* path) const {
  int64_t node = 0, length = 0;
  path[length++] = node;
  for (int64_t age = 0; age < order; ++age) {
    node = child(node, context.symbol(age));
    if (node < 0) break;
    path[length++] = node;
  }
  return length;
}

std::vector<int32_t> ContextTrie::depths() const {
  std::vector<int32_t> depth(nodes(), 0);
  for (int64_t node = 0; node < nodes(); ++node) {
    for (int64_t c = first_child[node]; c < first_child[node + 1]; ++c) depth[c] = depth[node] + 1;
  }
  return depth;
}

ContextTrie build_trie(std::vector<Example> examples, int64_t vocab, int64_t order, Start start) {
  require(vocab >= 1, "vocab must be at least 1");
  require(order >= 0, "order must be at least 0");
  check_examples(examples, vocab, order);
  const std::vector<Sorted> sorted = sorted_by_context(examples, vocab, order);

  ContextTrie trie;
  trie.vocab = vocab;
  trie.order = order;
  trie.start = start;
  trie.first_pair.push_back(0);
  PairCounter counter(vocab);
  // The nodes of one length, each a run of the sorted examples; and those of the next length.
  struct Run {
    int64_t begin, end;
    int32_t oldest;
  };
  std::vector<Run> level{{0, static_cast<int64_t>(sorted.size()), 0}}, next;
  for (int64_t depth = 0; !level.empty(); ++depth) {
    const int64_t level_begin = trie.nodes(), next_begin = level_begin + static_cast<int64_t>(level.size());
    for (const Run& run : level) trie.oldest_symbol.push_back(run.oldest);
    next.clear();
    for (const Run& run : level) {
      for (int64_t i = run.begin; i < run.end; ++i) counter.add(examples[sorted[i].example]);
      counter.append_to(trie);
      trie.first_child.push_back(next_begin + static_cast<int64_t>(next.size()));
      const bool is_at_start = start == Start::kOnce && depth > 0 && run.oldest == 0;
      if (depth == order || is_at_start) continue;
      for (int64_t begin = run.begin; begin < run.end;) {
        const int32_t symbol = examples[sorted[begin].example].context.symbol(depth);
        int64_t end = begin;
        while (end < run.end && examples[sorted[end].example].context.symbol(depth) == symbol) ++end;
        next.push_back({begin, end, symbol});
        begin = end;
      }
    }
    level.swap(next);
  }
  trie.first_child.push_back(trie.nodes());
  return trie;
}

void check_trie(const ContextTrie& trie) {
  const int64_t nodes = trie.nodes(), pairs = trie.pairs();
  require(trie.vocab >= 1 && trie.order >= 0, "vocab must be at least 1 and order at least 0");
  require(nodes >= 1 && trie.oldest_symbol[0] == 0, "there must be a node for the empty context, with symbol 0");
  check_offsets(trie.first_child, nodes, 1, nodes, "first_child");
  check_offsets(trie.first_pair, nodes, 0, pairs, "first_pair");
  require(static_cast<int64_t>(trie.pair_count.size()) == pairs, "pair_count must have a number for each pair_symbol");
  const auto is_symbol = [&](int32_t symbol) { return symbol >= 0 && symbol < trie.vocab; };
  // Children have higher numbers than their parents, so no walk goes round in a circle.
  for (int64_t node = 0; node < nodes; ++node) {
    require(!trie.has_children(node) || trie.first_child[node] > node, "children must come after their parents");
    for (int64_t c = trie.first_child[node]; c < trie.first_child[node + 1]; ++c) {
      require(is_symbol(trie.oldest_symbol[c]), "oldest_symbol must lie in [0, vocab)");
      require(c == trie.first_child[node] || trie.oldest_symbol[c] > trie.oldest_symbol[c - 1],
              "oldest_symbol must ascend among the children of a node");
    }
    require(nodes == 1 || pairs > 0, "pairs must not be empty");
    double total = 0;
    for (int64_t p = trie.first_pair[node]; p < trie.first_pair[node + 1]; ++p) {
      require(is_symbol(trie.pair_symbol[p]), "pair_symbol must lie in [0, vocab)");
      require(p == trie.first_pair[node] || trie.pair_symbol[p] > trie.pair_symbol[p - 1],
              "pair_symbol must ascend among the pairs of a node");
      require(trie.pair_count[p] > 0 && trie.pair_count[p] <= kMostCounts - total,
              "pair_count must be above 0, and 2^53 a node");
      total += trie.pair_count[p];
    }
    require(node == 0 || total > 0, "every context but the empty one must have been followed by something");
  }
  for (int32_t depth : trie.depths()) require(depth <= trie.order, "no context may be longer than order");
}

}  // namespace namegen::counts
