// The sequences that training and evaluation draw from, sorted so that those with a common prefix are neighbours.
#pragma once

#include <cstdint>
#include <vector>

namespace namegen::engine {

// The target of a position that predicts nothing.
inline constexpr int32_t kIgnored = -1;

// Only the live positions of a sequence are kept: those up to its last target. Nothing reads what comes after.
//
// All functions are defined in sequence_set.cpp. Inline ones would be compiled for each instruction set, and the linker
// would keep one of these for every CPU.
class SequenceSet {
 public:
  SequenceSet();
  SequenceSet(const SequenceSet&) = delete;
  SequenceSet& operator=(const SequenceSet&) = delete;
  ~SequenceSet();

  // Takes tokens (count, block) and targets (count, block), with kIgnored where nothing is predicted. Where there is no
  // memory for them, those before stay.
  void assign(const int32_t* tokens, const int32_t* targets, int64_t count, int64_t block);

  int64_t count() const;
  // Where row `row` of `assign` stands in the sorted order.
  int64_t place_of(int64_t row) const;
  // The sequence at a place of the sorted order: its live positions, their tokens and their targets.
  int64_t length(int64_t place) const;
  const int32_t* tokens(int64_t place) const;
  const int32_t* targets(int64_t place) const;

 private:
  struct Arrays {
    std::vector<int64_t> places;  // by row
    std::vector<int64_t> begin;   // by place, and the end of the last one
    std::vector<int32_t> tokens, targets;
  };
  Arrays arrays_;
};

}  // namespace namegen::engine
