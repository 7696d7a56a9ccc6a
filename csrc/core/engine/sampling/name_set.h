// An exact set of names. A hash only tells where to look; the bytes decide.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace namegen::sampling {

class NameSet {
 public:
  // So many bytes behind a name's end must be readable, its newline among them, in every text given to this class.
  static constexpr size_t kSlack = 8;

  NameSet();

  // Makes room for so many names of so many bytes in all, newlines included, while the set is empty.
  void reserve(size_t names, size_t bytes);
  int64_t size() const { return size_; }
  static uint64_t hash(std::string_view name);
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }
  // Whether the name, whose hash is given, is in the set.
  bool contains(std::string_view name, uint64_t hash) const;
  // Adds the name. Returns false where it was in the set.
  bool add(std::string_view name, uint64_t hash);

 private:
  // 24 bits of the hash above 40 bits of the place in `names_`, plus 1. An empty slot is 0.
  using Slot = uint64_t;
  static constexpr int kPlaceBits = 40;

  size_t find(std::string_view name, uint64_t hash) const;
  void grow();

  std::vector<Slot> slots_;  // a power of two, at most half in use
  std::string names_;        // each has a newline behind it; at the end stand kSlack bytes
  int64_t size_ = 0;
};

}  // namespace namegen::sampling
