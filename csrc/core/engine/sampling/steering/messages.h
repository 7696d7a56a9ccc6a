// How likely it is that a name is accepted, from any context and any state of the automaton on.
//
// With p(c | x) the model's probability of symbol c behind context x, and s.c the state behind c:
//
//   beta(x, s) = p(end | x) [s accepts] + sum over letters c of p(c | x) beta(x.c, s.c)
//
// The automaton has no circles, so that the states can be done from the last to the first. A name drawn by
//
//   q(c | x, s) = p(c | x) beta(x.c, s.c) / beta(x, s)
//
// has the probability p(name) / beta(start), as all other factors cancel: it is the model's own, given that the name is
// accepted. No draw is rejected.
#pragma once

#include <memory>
#include <vector>

#include "engine/sampling/aligned_array.h"
#include "engine/sampling/steering/automaton.h"
#include "engine/sampling/steering/context_set.h"

namespace namegen::sampling {

class Messages {
 public:
  // Throws std::invalid_argument for an automaton with a circle or of other symbols.
  Messages(std::shared_ptr<const ContextSet> contexts, Automaton automaton, const Poll& poll);

  const ContextSet& contexts() const { return *contexts_; }
  const Automaton& automaton() const { return automaton_; }
  int64_t cells() const { return automaton_.states() * contexts_->size(); }
  // beta(x, s) for all contexts x.
  const double* of_state(int64_t state) const { return beta_.data() + state * contexts_->size(); }
  // How likely one of the model's names is accepted.
  double accepted() const { return beta_[0]; }

 private:
  std::shared_ptr<const ContextSet> contexts_;
  Automaton automaton_;
  AlignedArray<double> beta_;  // (states, contexts)
};

}  // namespace namegen::sampling
