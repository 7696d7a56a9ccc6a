#include "engine/sampling/steering/messages.h"

#include "engine/require.h"

namespace namegen::sampling {

Messages::Messages(std::shared_ptr<const ContextSet> contexts, Automaton automaton, const Poll& poll)
    : contexts_(std::move(contexts)), automaton_(std::move(automaton)), beta_(cells()) {
  check_acyclic(automaton_);
  require(automaton_.vocab == contexts_->vocab(), "the automaton must have the model's symbols");
  struct Letter {
    int64_t symbol;
    const double* beta;  // (contexts): of the state that it leads to
  };
  std::vector<Letter> letters;
  for (int64_t state = automaton_.states() - 1; state >= 0; --state) {
    letters.clear();
    for (int64_t symbol = 1; symbol < automaton_.vocab; ++symbol) {
      const int32_t next = automaton_.after(state, symbol);
      if (next >= 0) letters.push_back({symbol, of_state(next)});
    }
    double* beta = beta_.data() + state * contexts_->size();
    const double end = automaton_.accepted[state] != 0 ? 1.0 : 0.0;
    for (int64_t context = 0; context < contexts_->size(); ++context) {
      const double* p = contexts_->probabilities(context);
      const uint32_t* next = contexts_->next(context);
      double sum = end * p[0];
      for (const Letter& letter : letters) sum += p[letter.symbol] * letter.beta[next[letter.symbol]];
      beta[context] = sum;
    }
    poll();
  }
}

}  // namespace namegen::sampling
