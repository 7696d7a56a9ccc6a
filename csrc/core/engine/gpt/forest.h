// The distinct prefixes of some sequences, as a forest: what a causal decoder computes of them.
//
// Activations at a position depend on the tokens up to there alone. So a position whose prefix another row has had
// already is the same numbers, and becomes the same node. A node is a prefix: its parent is the prefix without the last
// token. A sequence adds one target to each of its nodes, or none where the target is ignored. Then with n the number
// of targets at a node and count_c how many of them are symbol c,
//
//     loss = sum over nodes of (n * logsumexp(logits) - sum over c of count_c * logits_c) / number of targets
//     dlogits = (n * softmax(logits) - count) / number of targets
//
// which is the mean over all targets exactly. Measured: 34% of the positions of a minibatch of 32 names are nodes, 23%
// of one of 1,024 (names.txt, block 16).
//
// The forest is cut into pieces of neighbouring sequences, each a forest by itself that fits the caches; prefixes that
// go on in the next piece are nodes of both. Pieces are cut where neighbours have little in common, and depend on the
// sequences alone.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/gpt/sequence_set.h"

namespace namegen::engine {

struct TargetCount {
  int32_t symbol;
  int32_t count;
};

// Nodes in depth-first order: a parent comes before its children, and the nodes below it follow it without a gap.
struct ForestPiece {
  int64_t nodes;
  const int32_t* parent;  // (nodes), its number in the piece; -1 for a root
  const int32_t* symbol;  // (nodes), the prefix's last token
  const int32_t* depth;   // (nodes), 0 for a root: the position
  // The targets of node i are targets[target_begin[i] ... target_begin[i + 1]], each symbol once.
  const int32_t* target_begin;  // (nodes + 1)
  const TargetCount* targets;
};

// All functions are defined in forest.cpp, as those of SequenceSet.
class Forest {
 public:
  Forest();
  Forest(const Forest&) = delete;
  Forest& operator=(const Forest&) = delete;
  ~Forest();

  // From `count` rows of the set, any of them more than once. A piece has at most `most_nodes` nodes, or one sequence.
  void build(const SequenceSet& set, const int64_t* rows, int64_t count, int64_t most_nodes);
  // From those at places [first, end) of the set's sorted order.
  void build_range(const SequenceSet& set, int64_t first, int64_t end, int64_t most_nodes);

  int64_t piece_count() const;
  ForestPiece piece(int64_t number) const;
  int64_t node_count() const;    // in all pieces
  int64_t target_count() const;  // targets, each as often as it occurs
  int64_t most_nodes() const;    // of a piece

 private:
  struct Entry {  // of the list of a node's targets
    TargetCount target;
    int32_t next;  // or -1
  };
  struct PieceBegin {
    int64_t node, target_begin;
  };

  void build_sorted(const SequenceSet& set, int64_t most_nodes);
  void find_common_lengths(const SequenceSet& set);
  int64_t end_of_piece(const SequenceSet& set, int64_t first, int64_t most_nodes) const;
  void add_piece(const SequenceSet& set, int64_t first, int64_t end);
  void count_target(int64_t node, int32_t symbol);

  std::vector<int64_t> places_;  // sorted: those of the sequences
  std::vector<int64_t> common_;  // how many tokens each has in common with the one before
  std::vector<int32_t> parent_, symbol_, depth_;
  std::vector<int32_t> target_begin_;  // one more for each piece than it has nodes
  std::vector<TargetCount> targets_;
  std::vector<PieceBegin> pieces_;  // and the end of the last one
  int64_t target_count_ = 0, most_nodes_ = 0;
  // Of the piece in the making:
  std::vector<int32_t> path_, first_entry_;
  std::vector<Entry> entries_;
};

}  // namespace namegen::engine
