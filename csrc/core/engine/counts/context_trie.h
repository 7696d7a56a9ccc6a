// How often each symbol followed each context, for contexts of every length up to an order. Only what occurred is kept,
// so that the memory goes with the text, whatever the alphabet and the order.
//
// A node is a context. Its children are the contexts that are one symbol longer, at the old end: a context is found by
// going back through the text, from the newest symbol to older ones, for as long as it is known. Nodes stand breadth
// first, the children of one next to each other in the order of their symbols. So two offsets a node are all the links
// that there are, and a longer context always has a higher number than a shorter one.
#pragma once

#include <cstdint>
#include <vector>

namespace namegen::counts {

// What stands before a symbol. Symbol 0 ends a name, and stands for all that is before its start.
struct Context {
  const int32_t* end;  // end[-1] is the newest symbol, end[-2] the one before it, and so on
  int32_t known;       // so many symbols stand there; what is older is 0

  int32_t symbol(int64_t age) const { return age < known ? end[-1 - age] : 0; }
};

struct Example {
  Context context;
  int32_t target;  // the symbol that follows
  double count;    // how often it does, above 0; names of a list may have weights
};

// How long the contexts at the start of a name become.
enum class Start {
  kPadded,  // all have `order` symbols, zeros before the start
  kOnce,    // a context ends with its first 0: what would be older is the same for all names
};

struct ContextTrie {
  int64_t vocab = 0;
  int64_t order = 0;  // of the longest context
  Start start = Start::kPadded;

  std::vector<int32_t> oldest_symbol;  // (nodes); of node 0, the empty context, it is 0
  std::vector<int64_t> first_child;    // (nodes + 1): the children of n are first_child[n] to first_child[n + 1] - 1
  std::vector<int64_t> first_pair;     // (nodes + 1): the same for what followed
  std::vector<int32_t> pair_symbol;    // (pairs), ascending in a node
  std::vector<double> pair_count;      // (pairs), above 0

  int64_t nodes() const { return static_cast<int64_t>(oldest_symbol.size()); }
  int64_t pairs() const { return static_cast<int64_t>(pair_symbol.size()); }
  bool has_children(int64_t node) const { return first_child[node] < first_child[node + 1]; }

  // The child with a symbol at its old end; -1 where there is none.
  int64_t child(int64_t node, int32_t symbol) const;
  // The pair of a node with a symbol; -1 where the symbol never followed.
  int64_t pair(int64_t node, int32_t symbol) const;
  // Writes the nodes of the known contexts, from the empty one on, to path (order + 1); returns how many.
  int64_t find(const Context& context, int64_t* path) const;
  // How many symbols each node's context has: (nodes).
  std::vector<int32_t> depths() const;
};

// Counts examples, whose symbols lie in [0, vocab). With whole counts their order has no influence. Throws
// std::invalid_argument where symbols lie elsewhere, where order is negative, or where a count is not above 0 or the
// sum of them beyond 2^53.
ContextTrie build_trie(std::vector<Example> examples, int64_t vocab, int64_t order, Start start);

// Throws std::invalid_argument, naming what is wrong, for arrays that build_trie does not make: they may come from a
// damaged file.
void check_trie(const ContextTrie& trie);

}  // namespace namegen::counts
