#include "engine/counts/smoothing.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace namegen::counts {

namespace {

constexpr int64_t kClasses = 3;

int64_t class_of(int64_t count) { return std::min(count, kClasses) - 1; }

double total_of(const ContextTrie& trie, int64_t node) {
  double total = 0;
  for (int64_t p = trie.first_pair[node]; p < trie.first_pair[node + 1]; ++p) total += trie.pair_count[p];
  return total;
}

Smoothed nothing_known(const ContextTrie& trie) {
  return {std::vector<double>(trie.pairs(), 0.0), std::vector<double>(trie.nodes(), 1.0)};
}

void check(const KneserNeyParameters& parameters, int64_t order) {
  const auto lengths = static_cast<size_t>(order + 1);
  if (parameters.discounts.size() != kClasses * lengths || parameters.concentrations.size() != lengths) {
    throw std::invalid_argument("discounts must be (order + 1, 3) and concentrations (order + 1), with order " +
                                std::to_string(order));
  }
  for (size_t i = 0; i < parameters.discounts.size(); ++i) {
    const double most = static_cast<double>(i % kClasses + 1);
    if (!(parameters.discounts[i] >= 0 && parameters.discounts[i] <= most)) {
      throw std::invalid_argument("discounts must lie in [0, 1], [0, 2] and [0, 3], but one of the last " +
                                  std::to_string(static_cast<int>(most)) + " is " +
                                  std::to_string(parameters.discounts[i]));
    }
  }
  for (double theta : parameters.concentrations) {
    if (!(theta >= 0 && std::isfinite(theta))) {
      throw std::invalid_argument("concentrations must be finite and at least 0, but one is " + std::to_string(theta));
    }
  }
}

}  // namespace

Smoothed add_k(const ContextTrie& trie, double k) {
  if (!(k >= 0 && std::isfinite(k))) throw std::invalid_argument("k must be a finite number of at least 0");
  Smoothed smoothed = nothing_known(trie);
  const std::vector<int32_t> depth = trie.depths();
  const double spread = k * static_cast<double>(trie.vocab);
  for (int64_t node = 0; node < trie.nodes(); ++node) {
    const double total = total_of(trie, node);
    if (depth[node] != trie.order || total + spread == 0) continue;
    for (int64_t p = trie.first_pair[node]; p < trie.first_pair[node + 1]; ++p) {
      smoothed.gain[p] = trie.pair_count[p] / (total + spread);
    }
    smoothed.backoff[node] = spread / (total + spread);
  }
  return smoothed;
}

Smoothed witten_bell(const ContextTrie& trie) {
  Smoothed smoothed = nothing_known(trie);
  for (int64_t node = 0; node < trie.nodes(); ++node) {
    const auto distinct = static_cast<double>(trie.first_pair[node + 1] - trie.first_pair[node]);
    const double seen = total_of(trie, node) + distinct;
    if (seen == 0) continue;
    for (int64_t p = trie.first_pair[node]; p < trie.first_pair[node + 1]; ++p) {
      smoothed.gain[p] = trie.pair_count[p] / seen;
    }
    smoothed.backoff[node] = distinct / seen;
  }
  return smoothed;
}

ContinuationCounts continuation_counts(const ContextTrie& trie) {
  ContinuationCounts counts;
  counts.count.assign(trie.pairs(), 0);
  counts.total.assign(trie.nodes(), 0);
  counts.classes.assign(trie.nodes() * kClasses, 0);
  for (int64_t node = 0; node < trie.nodes(); ++node) {
    const int64_t begin = trie.first_pair[node], end = trie.first_pair[node + 1];
    if (!trie.has_children(node)) {
      for (int64_t p = begin; p < end; ++p) counts.count[p] = static_cast<int64_t>(std::ceil(trie.pair_count[p]));
    }
    // What followed a child followed its parent too: both are ascending, so one walk finds all.
    for (int64_t c = trie.first_child[node]; c < trie.first_child[node + 1]; ++c) {
      int64_t own = begin;
      for (int64_t p = trie.first_pair[c]; p < trie.first_pair[c + 1]; ++p) {
        while (own < end && trie.pair_symbol[own] < trie.pair_symbol[p]) ++own;
        if (own == end || trie.pair_symbol[own] != trie.pair_symbol[p]) {
          throw std::invalid_argument("what followed a context must have followed the shorter one too");
        }
        ++counts.count[own];
      }
    }
    for (int64_t p = begin; p < end; ++p) {
      counts.total[node] += counts.count[p];
      if (counts.count[p] > 0) ++counts.classes[node * kClasses + class_of(counts.count[p])];
    }
  }
  return counts;
}

Smoothed kneser_ney(const ContextTrie& trie, const KneserNeyParameters& parameters) {
  check(parameters, trie.order);
  const ContinuationCounts counts = continuation_counts(trie);
  const std::vector<int32_t> depth = trie.depths();
  Smoothed smoothed = nothing_known(trie);
  for (int64_t node = 0; node < trie.nodes(); ++node) {
    const double* discount = parameters.discounts.data() + depth[node] * kClasses;
    const double theta = parameters.concentrations[depth[node]];
    const double seen = static_cast<double>(counts.total[node]) + theta;
    if (counts.total[node] == 0) continue;
    double taken = theta;
    for (int64_t i = 0; i < kClasses; ++i) taken += discount[i] * double(counts.classes[node * kClasses + i]);
    for (int64_t p = trie.first_pair[node]; p < trie.first_pair[node + 1]; ++p) {
      if (counts.count[p] == 0) continue;
      smoothed.gain[p] = (static_cast<double>(counts.count[p]) - discount[class_of(counts.count[p])]) / seen;
    }
    smoothed.backoff[node] = taken / seen;
  }
  return smoothed;
}

}  // namespace namegen::counts
