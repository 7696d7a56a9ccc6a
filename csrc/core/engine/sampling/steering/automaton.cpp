#include "engine/sampling/steering/automaton.h"

#include "engine/require.h"

namespace namegen::sampling {

void check_automaton(const Automaton& automaton) {
  const int64_t states = automaton.states();
  require(states >= 1 && states < (int64_t{1} << 31), "an automaton must have from 1 to 2^31 - 1 states");
  require(automaton.vocab >= 2, "an automaton must have a letter at least");
  require(static_cast<int64_t>(automaton.next.size()) == states * automaton.vocab, "next must be (states, vocab)");
  for (int64_t state = 0; state < states; ++state) {
    require(automaton.after(state, 0) == -1, "behind the end of a name there can be no state");
    for (int64_t symbol = 1; symbol < automaton.vocab; ++symbol) {
      const int32_t next = automaton.after(state, symbol);
      require(next >= -1 && next < states, "next must hold states, or -1");
    }
  }
}

void check_acyclic(const Automaton& automaton) {
  check_automaton(automaton);
  for (int64_t state = 0; state < automaton.states(); ++state) {
    for (int64_t symbol = 1; symbol < automaton.vocab; ++symbol) {
      const int32_t next = automaton.after(state, symbol);
      require(next == -1 || next > state, "every symbol must lead to a state of a higher number");
    }
  }
}

}  // namespace namegen::sampling
