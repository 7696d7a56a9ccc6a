// Rows of small numbers. Each is kept once and has a number, in the order of first occurrence.
#pragma once

#include <stdexcept>

#include "engine/training/cpu/step_memory.h"
#include "kernels/cpu/parallel.h"

namespace namegen::cpu::NAMEGEN_ISA {

class RowTable {
 public:
  // Forgets all rows. Rows from now on have `group` values.
  void begin(int64_t group) {
    group_ = group;
    count_ = 0;
    if (slots_.size() == 0) slots_.resize(int64_t{1} << kLeastBits);
    bits_ = kLeastBits;
    fill_zero(slots_.data(), slots());
  }

  // The number of the row with these values. A row that is not there yet gets a new number.
  int32_t number(const int32_t* values) {
    if (2 * (count_ + 1) > slots()) grow();
    const int64_t slot = slot_of(values);
    if (slots_.data()[slot] == 0) {
      if (parts_.size() < (count_ + 1) * group_) keep_parts_in(2 * (count_ + 1) * group_);
      for (int64_t part = 0; part < group_; ++part) parts_.data()[count_ * group_ + part] = values[part];
      slots_.data()[slot] = static_cast<int32_t>(++count_);
    }
    return slots_.data()[slot] - 1;
  }

  // Frees the memory that only further rows would need. No row may be added until the next `begin`.
  void finish() {
    Array<int32_t>().swap(slots_);
    if (parts_.size() > count_ * group_) keep_parts_in(count_ * group_);
  }

  int64_t count() const { return count_; }
  // (count, group)
  const int32_t* parts() const { return parts_.data(); }

 private:
  static constexpr int kLeastBits = 10;

  int64_t slots() const { return int64_t{1} << bits_; }

  // The slot where the row is or belongs: Fibonacci hashing of each value in turn (Knuth 1973), then the next free
  // slot.
  int64_t slot_of(const int32_t* values) const {
    uint64_t hash = 0;
    for (int64_t part = 0; part < group_; ++part) {
      hash = (hash ^ (hash >> 32) ^ static_cast<uint32_t>(values[part])) * 0x9E3779B97F4A7C15u;
    }
    int64_t slot = static_cast<int64_t>(hash >> (64 - bits_));
    while (slots_.data()[slot] != 0 && !equals(slots_.data()[slot] - 1, values)) slot = (slot + 1) & (slots() - 1);
    return slot;
  }

  bool equals(int64_t row, const int32_t* values) const {
    const int32_t* own = parts_.data() + row * group_;
    for (int64_t part = 0; part < group_; ++part) {
      if (own[part] != values[part]) return false;
    }
    return true;
  }

  void grow() {
    if (count_ >= INT32_MAX / 2) throw std::length_error("tokens: more than 2^30 distinct rows at one level");
    if (slots_.size() >= 2 * slots()) {
      fill_zero(slots_.data(), 2 * slots());
    } else {
      slots_.resize(2 * slots());
    }
    ++bits_;
    for (int64_t row = 0; row < count_; ++row) {
      slots_.data()[slot_of(parts_.data() + row * group_)] = static_cast<int32_t>(row + 1);
    }
  }

  void keep_parts_in(int64_t size) {
    Array<int32_t> parts;
    parts.resize(size);
    if (count_ > 0) __builtin_memcpy(parts.data(), parts_.data(), count_ * group_ * sizeof(int32_t));
    parts_.swap(parts);
  }

  int64_t group_ = 1;
  int64_t count_ = 0;
  int bits_ = kLeastBits;
  Array<int32_t> parts_;
  Array<int32_t> slots_;  // 1 + row, or 0
};

}  // namespace namegen::cpu::NAMEGEN_ISA
