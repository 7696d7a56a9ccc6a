#include "engine/gpt/forest.h"

#include <algorithm>
#include <numeric>

namespace namegen::engine {

Forest::Forest() = default;
Forest::~Forest() = default;

void Forest::build(const SequenceSet& set, const int64_t* rows, int64_t count, int64_t most_nodes) {
  places_.resize(count);
  for (int64_t i = 0; i < count; ++i) places_[i] = set.place_of(rows[i]);
  std::sort(places_.begin(), places_.end());
  build_sorted(set, most_nodes);
}

void Forest::build_range(const SequenceSet& set, int64_t first, int64_t end, int64_t most_nodes) {
  places_.resize(end - first);
  std::iota(places_.begin(), places_.end(), first);
  build_sorted(set, most_nodes);
}

void Forest::build_sorted(const SequenceSet& set, int64_t most_nodes) {
  parent_.clear();
  symbol_.clear();
  depth_.clear();
  target_begin_.clear();
  targets_.clear();
  pieces_.clear();
  target_count_ = most_nodes_ = 0;
  find_common_lengths(set);
  const int64_t count = static_cast<int64_t>(places_.size());
  for (int64_t first = 0, end; first < count; first = end) {
    end = end_of_piece(set, first, most_nodes);
    add_piece(set, first, end);
  }
  pieces_.push_back({node_count(), static_cast<int64_t>(target_begin_.size())});
}

void Forest::find_common_lengths(const SequenceSet& set) {
  common_.assign(places_.size(), 0);
  for (size_t i = 1; i < places_.size(); ++i) {
    const int32_t *before = set.tokens(places_[i - 1]), *tokens = set.tokens(places_[i]);
    const int64_t most = std::min(set.length(places_[i - 1]), set.length(places_[i]));
    int64_t length = 0;
    while (length < most && before[length] == tokens[length]) ++length;
    common_[i] = length;
  }
}

// Of the cuts that leave a piece at least three quarters full, the one that repeats the fewest nodes; the last of
// these.
int64_t Forest::end_of_piece(const SequenceSet& set, int64_t first, int64_t most_nodes) const {
  const int64_t count = static_cast<int64_t>(places_.size());
  int64_t nodes = set.length(places_[first]), best = -1;
  for (int64_t i = first + 1; i < count; ++i) {
    if (4 * nodes >= 3 * most_nodes && (best < 0 || common_[i] <= common_[best])) best = i;
    nodes += set.length(places_[i]) - common_[i];
    if (nodes > most_nodes) return best >= 0 ? best : i;
  }
  return count;
}

void Forest::add_piece(const SequenceSet& set, int64_t first, int64_t end) {
  const int64_t base = node_count();
  pieces_.push_back({base, static_cast<int64_t>(target_begin_.size())});
  path_.clear();
  first_entry_.clear();
  entries_.clear();
  for (int64_t i = first; i < end; ++i) {
    const int32_t *tokens = set.tokens(places_[i]), *targets = set.targets(places_[i]);
    const int64_t length = set.length(places_[i]);
    path_.resize(i == first ? 0 : common_[i]);
    for (int64_t depth = static_cast<int64_t>(path_.size()); depth < length; ++depth) {
      parent_.push_back(depth == 0 ? -1 : path_.back());
      symbol_.push_back(tokens[depth]);
      depth_.push_back(static_cast<int32_t>(depth));
      path_.push_back(static_cast<int32_t>(first_entry_.size()));
      first_entry_.push_back(-1);
    }
    for (int64_t depth = 0; depth < length; ++depth) {
      if (targets[depth] != kIgnored) count_target(path_[depth], targets[depth]);
    }
  }
  for (const int32_t first_entry : first_entry_) {
    target_begin_.push_back(static_cast<int32_t>(targets_.size()));
    for (int32_t e = first_entry; e >= 0; e = entries_[e].next) targets_.push_back(entries_[e].target);
  }
  target_begin_.push_back(static_cast<int32_t>(targets_.size()));
  most_nodes_ = std::max(most_nodes_, static_cast<int64_t>(first_entry_.size()));
}

// The sequences are sorted, and most targets are the next token: the symbol is mostly the one that came last.
void Forest::count_target(int64_t node, int32_t symbol) {
  ++target_count_;
  for (int32_t e = first_entry_[node]; e >= 0; e = entries_[e].next) {
    if (entries_[e].target.symbol != symbol) continue;
    ++entries_[e].target.count;
    return;
  }
  entries_.push_back({{symbol, 1}, first_entry_[node]});
  first_entry_[node] = static_cast<int32_t>(entries_.size()) - 1;
}

int64_t Forest::piece_count() const { return pieces_.empty() ? 0 : static_cast<int64_t>(pieces_.size()) - 1; }
int64_t Forest::node_count() const { return static_cast<int64_t>(parent_.size()); }
int64_t Forest::target_count() const { return target_count_; }
int64_t Forest::most_nodes() const { return most_nodes_; }

ForestPiece Forest::piece(int64_t number) const {
  const PieceBegin &begin = pieces_[number], &end = pieces_[number + 1];
  return {end.node - begin.node,
          parent_.data() + begin.node,
          symbol_.data() + begin.node,
          depth_.data() + begin.node,
          target_begin_.data() + begin.target_begin,
          targets_.data()};
}

}  // namespace namegen::engine
