// The likeliest beginnings of names that can still be accepted, and how likely names are accepted at most that start
// so.
//
// For models with more contexts than messages could be held for. A beginning x that stands in the tree has the bound
//
//   b(x) = p(end | x) [x is accepted] + sum over letters c of p(c | x) b(xc)
//
// and every other one has 1 where a name can be accepted that starts so, else 0. Names are drawn by
//
//   q(c | x) = p(c | x) b(xc) / b(x)
//
// and rejected with the rest, 1 - sum of q. In the tree nothing is left for that. As b is at least what the definition
// of b gives from the next letters (it is superharmonic), q never exceeds 1, and a name that is not rejected has the
// probability p(name) / b(start): the other factors cancel. It is the model's own, whatever beginnings the tree holds.
// The more of them it holds, the fewer names are rejected.
#pragma once

#include <memory>
#include <vector>

#include "engine/sampling/aligned_array.h"
#include "engine/sampling/context_rows.h"
#include "engine/sampling/sampler.h"
#include "engine/sampling/steering/automaton.h"

namespace namegen::sampling {

class Beginnings {
 public:
  // Follows `most` beginnings, 1 at least, the likeliest first, none of more than `letters` letters. Throws
  // NonFiniteLogits. An exception of `poll` ends the call.
  Beginnings(const std::shared_ptr<const Predictor>& predictor, Shaping shaping, const Automaton& automaton,
             const std::vector<int32_t>& prefix, int64_t letters, int64_t most, const Poll& poll);

  int64_t size() const { return static_cast<int64_t>(bound_.size()); }
  // Whether they were followed for the same automaton.
  bool is_of(const Automaton& automaton) const {
    return automaton.vocab == vocab_ && automaton.next == automaton_.next && automaton.accepted == automaton_.accepted;
  }
  // b(start): no more of the model's names are accepted.
  double bound() const { return bound_[0]; }
  // The beginning with a letter more; -1 where the tree does not hold it. Number 0 is the start.
  int32_t child(int64_t beginning, int64_t symbol) const { return child_[beginning * vocab_ + symbol]; }
  Rows rows() const { return rows_; }

 private:
  void set_bounds(const Automaton& automaton, int64_t letters);

  int64_t vocab_;
  Automaton automaton_;
  std::vector<int32_t> state_;         // (size)
  std::vector<int64_t> length_;        // (size)
  std::vector<double> probabilities_;  // (size, vocab)
  std::vector<double> bound_;          // (size)
  std::vector<int32_t> child_;         // (size, vocab)
  AlignedArray<uint32_t> thresholds_;  // (size) rows of vocab + 1 symbols, of which the last, a rejection, never comes
  AlignedArray<int32_t> last_;
  Rows rows_{};
};

}  // namespace namegen::sampling
