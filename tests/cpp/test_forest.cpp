// The forest of distinct prefixes against a map of prefixes.
#include "engine/gpt/forest.h"

#include <map>

#include "support.h"

using namespace namegen;
using namespace namegen::test;

namespace {

using Prefix = std::vector<int32_t>;
using Counts = std::map<Prefix, std::map<int32_t, int64_t>>;

struct Sequences {
  int64_t count, block;
  std::vector<int32_t> tokens, targets;
};

// Words of a small alphabet, so that prefixes repeat, with ignored targets here and there, and rows without any.
Sequences random_sequences(int64_t count, int64_t block, int32_t vocab, std::mt19937& generator) {
  Sequences s{count, block, std::vector<int32_t>(count * block), std::vector<int32_t>(count * block)};
  for (int32_t& token : s.tokens) token = static_cast<int32_t>(generator() % vocab);
  for (int64_t row = 0; row < count; ++row) {
    const int64_t length = static_cast<int64_t>(generator() % (block + 1));
    for (int64_t t = 0; t < block; ++t) {
      const bool live = t < length && generator() % 8 != 0;
      s.targets[row * block + t] = live ? static_cast<int32_t>(generator() % vocab) : engine::kIgnored;
    }
  }
  return s;
}

// Every live prefix of the rows, and how often each target follows it.
Counts counts_of(const Sequences& s, const std::vector<int64_t>& rows) {
  Counts counts;
  for (const int64_t row : rows) {
    const int32_t *tokens = &s.tokens[row * s.block], *targets = &s.targets[row * s.block];
    int64_t length = s.block;
    while (length > 0 && targets[length - 1] == engine::kIgnored) --length;
    for (int64_t t = 0; t < length; ++t) {
      std::map<int32_t, int64_t>& at = counts[Prefix(tokens, tokens + t + 1)];
      if (targets[t] != engine::kIgnored) ++at[targets[t]];
    }
  }
  return counts;
}

// Adds a piece to `counts` after checking its form.
void read_piece(const engine::ForestPiece& piece, Counts& counts) {
  std::vector<Prefix> prefixes;
  Counts here;
  for (int64_t i = 0; i < piece.nodes; ++i) {
    const int32_t parent = piece.parent[i];
    check(parent < i && (parent < 0) == (piece.depth[i] == 0), "a parent comes first");
    Prefix prefix = parent < 0 ? Prefix() : prefixes[parent];
    // Depth first: the node before is the parent or lies below it.
    check(parent < 0 || (prefixes[i - 1].size() >= prefix.size() &&
                         Prefix(prefixes[i - 1].begin(), prefixes[i - 1].begin() + prefix.size()) == prefix),
          "depth-first order");
    prefix.push_back(piece.symbol[i]);
    check(prefix.size() == size_t(piece.depth[i]) + 1, "the depth is the length of the prefix less one");
    check(here.count(prefix) == 0, "a prefix is one node");
    std::map<int32_t, int64_t>& at = here[prefix];
    for (int32_t t = piece.target_begin[i]; t < piece.target_begin[i + 1]; ++t) {
      check(at.count(piece.targets[t].symbol) == 0, "a symbol stands once");
      at[piece.targets[t].symbol] = piece.targets[t].count;
    }
    prefixes.push_back(prefix);
  }
  for (const auto& [prefix, targets] : here) {
    std::map<int32_t, int64_t>& at = counts[prefix];
    for (const auto& [symbol, count] : targets) at[symbol] += count;
  }
}

void test_forest(int64_t count, int64_t block, int32_t vocab, int64_t batch, int64_t most_nodes,
                 std::mt19937& generator) {
  const Sequences s = random_sequences(count, block, vocab, generator);
  engine::SequenceSet set;
  set.assign(s.tokens.data(), s.targets.data(), count, block);
  std::vector<int64_t> rows(batch);
  for (int64_t& row : rows) row = static_cast<int64_t>(generator() % count);
  engine::Forest forest;
  forest.build(set, rows.data(), batch, most_nodes);
  const Counts expected = counts_of(s, rows);
  Counts found;
  int64_t nodes = 0, targets = 0;
  for (int64_t p = 0; p < forest.piece_count(); ++p) {
    check(forest.piece(p).nodes <= std::max(most_nodes, block), "a piece is not larger than allowed");
    check(forest.piece(p).nodes <= forest.most_nodes(), "most_nodes");
    nodes += forest.piece(p).nodes;
    read_piece(forest.piece(p), found);
  }
  for (const auto& [prefix, at] : expected) {
    for (const auto& [symbol, n] : at) targets += n;
  }
  check(found == expected, "the prefixes and their targets");
  check(nodes == forest.node_count() && targets == forest.target_count(), "the counts");
  if (forest.piece_count() == 1) check(nodes == int64_t(expected.size()), "one piece holds every prefix once");

  std::vector<int64_t> all(count);
  for (int64_t i = 0; i < count; ++i) all[i] = i;
  Counts whole;
  const int64_t middle = count / 2;
  forest.build_range(set, 0, middle, most_nodes);
  for (int64_t p = 0; p < forest.piece_count(); ++p) read_piece(forest.piece(p), whole);
  forest.build_range(set, middle, count, most_nodes);
  for (int64_t p = 0; p < forest.piece_count(); ++p) read_piece(forest.piece(p), whole);
  check(whole == counts_of(s, all), "ranges");
}

}  // namespace

int main() {
  std::mt19937 generator(1);
  for (const int64_t most_nodes : {1, 7, 40, 1 << 20}) {
    for (const int32_t vocab : {1, 2, 5, 100}) {
      for (const int64_t block : {1, 2, 5, 16}) {
        for (const int64_t batch : {0, 1, 2, 30, 300}) test_forest(50, block, vocab, batch, most_nodes, generator);
      }
    }
  }
  return result("forest");
}
