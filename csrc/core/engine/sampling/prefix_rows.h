// Which prefixes have their keys and values in a row: a prefix tree of a bounded number of nodes. A node's number is
// its row. Where room is needed, the prefixes that were used longest ago are forgotten: names share their beginnings,
// so the short prefixes stay, and so do those of the names that are being drawn.
#pragma once

#include <cstdint>
#include <vector>

namespace namegen::sampling {

class PrefixRows {
 public:
  static constexpr int32_t kNone = -1;

  explicit PrefixRows(int64_t capacity);

  int64_t capacity() const { return static_cast<int64_t>(nodes_.size()); }
  int64_t size() const { return capacity() - static_cast<int64_t>(free_.size()); }
  // Forgets prefixes until `count` more have room; at least a quarter of the capacity, so that it happens seldom.
  // Prefixes that are found or added before the next call stay.
  void make_room(int64_t count);
  // The row of `parent` with one symbol behind it, kNone as the parent of a first symbol. kNone where it has none.
  int32_t find(int32_t parent, int32_t symbol);
  int32_t add(int32_t parent, int32_t symbol);  // of a prefix that has none, where there is room

 private:
  struct Node {
    int32_t parent, symbol;
    uint64_t used = 0;  // the last period in which it was found or added; 0: free
  };

  size_t home(int32_t parent, int32_t symbol) const {
    const uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(parent)) << 32 | static_cast<uint32_t>(symbol);
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 29) * 0xBF58476D1CE4E5B9u;
    return (hash ^ hash >> 32) & (slots_.size() - 1);
  }
  void put(int32_t row);

  std::vector<Node> nodes_;
  std::vector<int32_t> free_;   // rows without a prefix
  std::vector<int32_t> slots_;  // the rows by hash, or kNone; a power of two, at most half in use
  std::vector<uint64_t> uses_;
  uint64_t period_ = 1;  // counts the calls of make_room
};

}  // namespace namegen::sampling
