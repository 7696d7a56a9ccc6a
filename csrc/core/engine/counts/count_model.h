// A counting model at work: the probabilities of what follows contexts, how likely given symbols are, and what tuning
// the discounts needs to know.
#pragma once

#include "engine/counts/smoothing.h"

namespace namegen::counts {

class CountModel {
 public:
  // Throws std::invalid_argument where the smoothed counts are not of the trie.
  CountModel(ContextTrie trie, Smoothed smoothed);

  const ContextTrie& trie() const { return trie_; }
  int64_t vocab() const { return trie_.vocab; }
  int64_t order() const { return trie_.order; }

  // Writes P(c | context) for each symbol c to probabilities (vocab). `path` is scratch memory (order + 1).
  void distribution(const Context& context, int64_t* path, double* probabilities) const;
  // P(target | context).
  double probability(const Context& context, int32_t target, int64_t* path) const;

 private:
  ContextTrie trie_;
  Smoothed smoothed_;
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
