// From counts to probabilities. Every estimator comes out in one form,
//
//     P(c | h) = gain(h, c) + backoff(h) P(c | h'),
//
// where h' is h without its oldest symbol, gain is 0 for what never followed h, a context that never occurred passes
// all on (gain 0, backoff 1), and what the empty context leaves is spread evenly: 1 / V. So one evaluation serves them
// all.
#pragma once

#include "engine/counts/context_trie.h"

namespace namegen::counts {

struct Smoothed {
  std::vector<double> gain;     // (pairs)
  std::vector<double> backoff;  // (nodes)
};

// P(c | h) = (N(hc) + k) / (N(h) + k V) for contexts of the whole order; shorter ones play no part. With k = 0 a
// context that never occurred is even. Throws std::invalid_argument for a k that is negative or not finite.
Smoothed add_k(const ContextTrie& trie, double k);

// P(c | h) = (N(hc) + T(h) P(c | h')) / (N(h) + T(h)), T(h) the number of distinct symbols that followed h.
// Source: Witten and Bell, "The zero-frequency problem", 1991, interpolated as in Chen and Goodman, 1999.
Smoothed witten_bell(const ContextTrie& trie);

// The counts of Kneser and Ney. A context that can be made longer counts in how many different longer ones (by one
// symbol) each symbol followed it: what follows only one of them says little about the others. The longest contexts,
// and those that reach back to the start of a name, count how often, rounded up to a whole number.
struct ContinuationCounts {
  std::vector<int64_t> count;    // (pairs): n(h, c)
  std::vector<int64_t> total;    // (nodes): n(h), the sum of n(h, c) over c
  std::vector<int64_t> classes;  // (nodes, 3): of how many c the count is 1, 2, and 3 or more
};
ContinuationCounts continuation_counts(const ContextTrie& trie);

// P(c | h) = (n(hc) - D(n(hc)) + (theta + sum of D over all c) P(c | h')) / (n(h) + theta), with discounts D of a count
// of 1, of 2, and of 3 or more, and a concentration theta, for each length of context.
// Sources: modified Kneser-Ney, Chen and Goodman, "An empirical study of smoothing techniques for language modeling",
// 1999; the concentration as in Teh, "A hierarchical Bayesian language model based on Pitman-Yor processes", 2006.
struct KneserNeyParameters {
  std::vector<double> discounts;       // (order + 1, 3): in [0, 1], [0, 2] and [0, 3]
  std::vector<double> concentrations;  // (order + 1): at least 0
};
// Throws std::invalid_argument for parameters of another size or out of range.
Smoothed kneser_ney(const ContextTrie& trie, const KneserNeyParameters& parameters);

}  // namespace namegen::counts
