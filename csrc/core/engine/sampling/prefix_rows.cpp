#include "engine/sampling/prefix_rows.h"

#include <algorithm>

#include "engine/require.h"

namespace namegen::sampling {

PrefixRows::PrefixRows(int64_t capacity) : nodes_(capacity) {
  require(capacity >= 1 && capacity <= INT32_MAX / 2, "there must be 1 to 2^30 rows of keys and values");
  size_t slots = 2;
  while (slots < 2 * nodes_.size()) slots *= 2;
  slots_.assign(slots, kNone);
  for (int64_t row = capacity - 1; row >= 0; --row) free_.push_back(static_cast<int32_t>(row));
}

void PrefixRows::make_room(int64_t count) {
  require(count <= capacity(), "there are fewer rows of keys and values than a call may need");
  ++period_;
  if (static_cast<int64_t>(free_.size()) >= count) return;
  // A prefix is used whenever one below it is. So those that were used after some period are whole paths.
  const int64_t wanted = std::max(count, capacity() / 4) - static_cast<int64_t>(free_.size());
  uses_.clear();
  for (const Node& node : nodes_) {
    if (node.used > 0) uses_.push_back(node.used);
  }
  std::nth_element(uses_.begin(), uses_.begin() + (wanted - 1), uses_.end());
  const uint64_t last_forgotten = uses_[wanted - 1];
  std::fill(slots_.begin(), slots_.end(), kNone);
  for (int64_t row = 0; row < capacity(); ++row) {
    Node& node = nodes_[row];
    if (node.used == 0) continue;
    if (node.used <= last_forgotten) {
      node.used = 0;
      free_.push_back(static_cast<int32_t>(row));
    } else {
      put(static_cast<int32_t>(row));
    }
  }
}

int32_t PrefixRows::find(int32_t parent, int32_t symbol) {
  for (size_t i = home(parent, symbol); slots_[i] != kNone; i = (i + 1) & (slots_.size() - 1)) {
    Node& node = nodes_[slots_[i]];
    if (node.parent != parent || node.symbol != symbol) continue;
    node.used = period_;
    return slots_[i];
  }
  return kNone;
}

int32_t PrefixRows::add(int32_t parent, int32_t symbol) {
  const int32_t row = free_.back();
  free_.pop_back();
  nodes_[row] = {parent, symbol, period_};
  put(row);
  return row;
}

void PrefixRows::put(int32_t row) {
  size_t i = home(nodes_[row].parent, nodes_[row].symbol);
  while (slots_[i] != kNone) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = row;
}

}  // namespace namegen::sampling
