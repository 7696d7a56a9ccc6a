// Which rows of a minibatch are equal. Equal rows have equal activations, so every level computes each of them once.
// The backward pass adds up the gradients of all places that hold a row. These are the same sums as over the whole
// minibatch, in another order.
//
// Minibatches of names repeat themselves: a seventh of all contexts is the empty one. Measured: 27 distinct contexts
// among 32, about 500 among 1,024 (contexts of three characters); 47 distinct pairs among the 128 of 32 contexts of
// eight.
#pragma once

#include "kernels/cpu/parallel.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The distinct rows of one level, in the order in which they first occur. A place is a position of an example.
// Evaluation needs no repeats. A level with the rows of the level below needs no parts.
struct DistinctRows {
  int64_t count = 0;       // R
  const int32_t* repeats;  // (R): at how many places each occurs
  const int32_t* parts;    // (R, group): what each is made of, symbols or rows of the level below
};

// Which row of a minibatch a row of the whole data set has become. It holds for the minibatch with this stamp alone.
struct Mark {
  uint32_t stamp;
  int32_t row;
};

// The distinct ones among n numbers. The numbers are those of rows of the data set.
struct Picked {
  int64_t count;     // R
  int32_t* numbers;  // (R), in the order of their first occurrence
  int32_t* repeats;  // (R): sums of the weights of all equal numbers
  int32_t* row_of;   // (n)
  int32_t* sizes;    // (R): how many numbers are equal
  int32_t* rank;     // (n): how many equal numbers stand before each
};

// marks[number] of every number must have another stamp before the call. weight_of(i) is the number of places where
// numbers[i] stands.
template <class WeightOf>
inline Picked pick_distinct(const int32_t* numbers, int64_t n, const WeightOf& weight_of, Mark* marks, uint32_t stamp,
                            Context& context) {
  const auto array = [&] { return scratch_array<int32_t>(context, n); };
  Picked picked{0, array(), array(), array(), array(), array()};
  // This loop has no branch, since which numbers are new cannot be guessed.
  int32_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    Mark& mark = marks[numbers[i]];
    const bool is_new = mark.stamp != stamp;
    const int32_t row = is_new ? count : mark.row;
    mark = {stamp, row};
    picked.numbers[row] = numbers[i];
    picked.repeats[row] = (is_new ? 0 : picked.repeats[row]) + weight_of(i);
    picked.row_of[i] = row;
    picked.rank[i] = is_new ? 0 : picked.sizes[row];
    picked.sizes[row] = picked.rank[i] + 1;
    count += is_new;
  }
  picked.count = count;
  return picked;
}

// The members of each row, one row after the other. Those of row r are members[begin[r]] to members[begin[r + 1] - 1].
struct RowLists {
  int32_t* begin;  // (R + 1)
  int32_t* members;
};

// Lists the places 0 ... n - 1 by their rows, in order.
inline RowLists list_by_row(const Picked& picked, int64_t n, Context& context) {
  const RowLists lists{scratch_array<int32_t>(context, picked.count + 1), scratch_array<int32_t>(context, n)};
  lists.begin[0] = 0;
  for (int64_t r = 0; r < picked.count; ++r) lists.begin[r + 1] = lists.begin[r] + picked.sizes[r];
  for (int64_t i = 0; i < n; ++i) {
    lists.members[lists.begin[picked.row_of[i]] + picked.rank[i]] = static_cast<int32_t>(i);
  }
  return lists;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
