// From contexts to rows: which contexts have been computed, and where their results stand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace namegen::sampling {

// Symbols packed into bits. The newest symbol has the lowest bits.
using Key = unsigned __int128;
inline constexpr int kKeyBits = 128;

// An exact map from keys to row numbers 0, 1, 2, ... in the order of arrival, up to a greatest number of rows. It grows
// by doubling, and forgets everything at once. Forgetting changes no result, since what is computed anew comes out as
// it was.
class Memo {
 public:
  explicit Memo(int64_t most_rows) : most_rows_(most_rows), slots_(kFirstSlots) {}

  int64_t size() const { return size_; }
  int64_t most_rows() const { return most_rows_; }
  // Forgets everything where there is room for fewer than `count` further rows.
  void make_room(int64_t count) {
    if (size_ + count > most_rows_) forget();
  }
  void forget() {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    size_ = 0;
  }

  void prefetch(Key key) const { __builtin_prefetch(&slots_[home(key)]); }

  // The key's row. A key without a row gets a new one, which is the size() before the call.
  uint32_t find_or_add(Key key) {
    size_t i = home(key);
    while (slots_[i].row_plus_one != 0) {
      if (slots_[i].key() == key) return slots_[i].row_plus_one - 1;
      i = (i + 1) & (slots_.size() - 1);
    }
    const auto row = static_cast<uint32_t>(size_++);
    slots_[i] = Slot(key, row);
    if (2 * static_cast<size_t>(size_) > slots_.size()) grow();
    return row;
  }

 private:
  struct Slot {
    uint64_t low = 0, high = 0;
    uint32_t row_plus_one = 0;  // 0: empty

    Slot() = default;
    Slot(Key k, uint32_t row)
        : low(static_cast<uint64_t>(k)), high(static_cast<uint64_t>(k >> 64)), row_plus_one(row + 1) {}
    Key key() const { return Key{high} << 64 | low; }
  };
  static constexpr size_t kFirstSlots = 1024;

  size_t home(Key key) const {
    uint64_t hash = static_cast<uint64_t>(key) * 0x9E3779B97F4A7C15u ^ static_cast<uint64_t>(key >> 64);
    hash = (hash ^ hash >> 29) * 0xBF58476D1CE4E5B9u;
    return (hash ^ hash >> 32) & (slots_.size() - 1);
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.row_plus_one == 0) continue;
      size_t i = home(slot.key());
      while (slots_[i].row_plus_one != 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = slot;
    }
  }

  int64_t most_rows_;
  int64_t size_ = 0;
  std::vector<Slot> slots_;  // a power of two, at most half in use
};

}  // namespace namegen::sampling
