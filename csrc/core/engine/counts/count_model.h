// A counting model at work: the probabilities of what follows contexts, how likely given symbols are, and what tuning
// the discounts needs to know.
#pragma once

#include "engine/counts/smoothing.h"

namespace namegen::counts {

class CountModel {
 public:
  // Throws std::invalid_argument where the smoothed counts are not of the trie.
  CountModel(const ContextTrie& trie, const Smoothed& smoothed);

  int64_t vocab() const { return vocab_; }
  int64_t order() const { return order_; }

  // Writes P(c | context) for each symbol c to probabilities (vocab). `path` is scratch memory (order + 1).
  template <class T>
  void distribution(const Context& context, int64_t* path, T* probabilities) const;
  // P(target | context).
  double probability(const Context& context, int32_t target, int64_t* path) const;

  // The node of the longest known context that ends a context, whose symbols symbol_of(age) gives from the newest, of
  // age 0, to age order - 1.
  template <class SymbolOf>
  int64_t longest_known(const SymbolOf& symbol_of) const {
    int64_t node = 0;
    for (int64_t age = 0; age < order_; ++age) {
      const int64_t longer = child(node, symbol_of(age));
      if (longer < 0) break;
      node = longer;
    }
    return node;
  }
  // Whether every known context is known without its newest symbol too. It is so for counts of whole texts. The longest
  // known context after a further symbol then follows from the longest known one before it.
  bool knows_beginnings() const;

 private:
  // What is read together stands together: most of the time goes with waiting for memory.
  struct Node {
    int64_t first_child, first_pair;
    double backoff;
  };
  struct Pair {
    double gain;
    int32_t symbol;
  };
  int64_t find(const Context& context, int64_t* path) const;
  // The child of a node with a symbol at its old end; -1 where there is none.
  int64_t child(int64_t node, int32_t symbol) const;

  int64_t vocab_, order_;
  std::vector<Node> nodes_;  // (nodes + 1)
  std::vector<int32_t> oldest_symbol_;
  std::vector<Pair> pairs_;
};

// What each length of context knows of one symbol that was held out: from this the probability under any discounts and
// concentrations follows, without the trie.
struct Evidence {
  double count = 0;        // n(h, target)
  double total = 0;        // n(h); 0 where the context never occurred
  double classes[3] = {};  // of how many symbols the count is 1, 2, and 3 or more
};

// Writes the evidence of each length, 0 to order, to evidence (order + 1). `path` is scratch memory (order + 1).
void find_evidence(const ContextTrie& trie, const ContinuationCounts& counts, const Context& context, int32_t target,
                   int64_t* path, Evidence* evidence);

}  // namespace namegen::counts
