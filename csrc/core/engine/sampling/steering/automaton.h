// What names are to be: a deterministic automaton over the symbols. A name is accepted where its symbols, one after
// another, lead from state 0 to a state that accepts.
#pragma once

#include <cstdint>
#include <vector>

namespace namegen::sampling {

struct Automaton {
  int64_t vocab;
  std::vector<int32_t> next;      // (states, vocab): the state behind a symbol; -1 where no accepted name goes on so
  std::vector<uint8_t> accepted;  // (states): whether a name may end here

  int64_t states() const { return static_cast<int64_t>(accepted.size()); }
  int32_t after(int64_t state, int64_t symbol) const { return next[state * vocab + symbol]; }
};

// Throws std::invalid_argument, naming what is wrong. Symbol 0, the end of a name, leads nowhere.
void check_automaton(const Automaton& automaton);

// The same, and that every symbol leads to a state of a higher number. The automaton has no circle then, and the names
// that it accepts are shorter than it has states.
void check_acyclic(const Automaton& automaton);

}  // namespace namegen::sampling
