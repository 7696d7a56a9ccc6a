// A set of names, exact: a hash only tells where to look, and the bytes decide.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace namegen::sampling {

class NameSet {
 public:
  // How many bytes behind a name's end must be readable (its newline among them), in every text given to this class.
  static constexpr size_t kSlack = 8;

  NameSet();

  int64_t size() const { return size_; }
  static uint64_t hash(std::string_view name);
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }
  // Whether the name, whose hash is given, is in the set.
  bool contains(std::string_view name, uint64_t hash) const;
  // Adds the name; false where it was there.
  bool add(std::string_view name, uint64_t hash);

 private:
  // 24 bits of the hash over 40 bits of place + 1 in `names_`; 0 where empty.
  using Slot = uint64_t;
  static constexpr int kPlaceBits = 40;

  size_t find(std::string_view name, uint64_t hash) const;
  void grow();

  std::vector<Slot> slots_;  // a power of two, at most half in use
  std::string names_;        // each with a newline behind it, then kSlack bytes
  int64_t size_ = 0;
};

}  // namespace namegen::sampling
