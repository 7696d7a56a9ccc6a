#include "engine/counts/count_model.h"

#include <algorithm>
#include <stdexcept>

namespace namegen::counts {

CountModel::CountModel(ContextTrie trie, Smoothed smoothed) : trie_(std::move(trie)), smoothed_(std::move(smoothed)) {
  if (static_cast<int64_t>(smoothed_.gain.size()) != trie_.pairs() ||
      static_cast<int64_t>(smoothed_.backoff.size()) != trie_.nodes()) {
    throw std::invalid_argument("gain must be (pairs) and backoff (nodes)");
  }
}

// From the longest context to the empty one: what the longer ones leave of a shorter one's probabilities is one factor.
void CountModel::distribution(const Context& context, int64_t* path, double* probabilities) const {
  const int64_t length = trie_.find(context, path);
  double left = 1;
  for (int64_t i = 0; i < length; ++i) left *= smoothed_.backoff[path[i]];
  std::fill_n(probabilities, vocab(), left / static_cast<double>(vocab()));
  left = 1;
  for (int64_t i = length - 1; i >= 0; --i) {
    const int64_t node = path[i];
    for (int64_t p = trie_.first_pair[node]; p < trie_.first_pair[node + 1]; ++p) {
      probabilities[trie_.pair_symbol[p]] += left * smoothed_.gain[p];
    }
    left *= smoothed_.backoff[node];
  }
}

double CountModel::probability(const Context& context, int32_t target, int64_t* path) const {
  const int64_t length = trie_.find(context, path);
  double probability = 1 / static_cast<double>(vocab());
  for (int64_t i = 0; i < length; ++i) {
    const int64_t pair = trie_.pair(path[i], target);
    probability = (pair < 0 ? 0.0 : smoothed_.gain[pair]) + smoothed_.backoff[path[i]] * probability;
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
