// Which rows of a minibatch are equal. Minibatches of names repeat themselves: a seventh of all contexts is the empty
// one, and of 1,024 contexts of three characters, about 500 are distinct (of 32: 27; of their 128 pairs in a context of
// eight: 47). Equal rows have equal activations, so that every level computes each once, and adds up the gradients of
// all places that hold it: the same sums as over the whole minibatch, in another order.
#pragma once

#include "kernels/cpu/parallel.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The distinct rows of one level, in the order in which they first occur. A place is a position of an example. Not all
// is needed, and there, everywhere: no repeats in evaluation, no parts where a level has the rows of the one below.
struct DistinctRows {
  int64_t count = 0;       // R
  const int32_t* repeats;  // (R): at how many places each occurs
  const int32_t* parts;    // (R, group): what each is made of, symbols or rows of the level below
};

// The row of a minibatch that a row of the whole data set has become; of the minibatch with this stamp.
struct Mark {
  uint32_t stamp;
  int32_t row;
};

// The distinct ones of some numbers, which are the data set's for its rows.
struct Picked {
  int64_t count;     // R
  int32_t* numbers;  // (R), by first occurrence
  int32_t* repeats;  // (R): sums of the weights of all that are equal
  int32_t* row_of;   // (n)
  int32_t* sizes;    // (R): how many are equal
  int32_t* rank;     // (n): how many equal ones stand before each
};

// marks[number] of every number must have another stamp before. weight_of(i): at how many places numbers[i] stands.
template <class WeightOf>
inline Picked pick_distinct(const int32_t* numbers, int64_t n, const WeightOf& weight_of, Mark* marks, uint32_t stamp,
                            Context& context) {
  const auto array = [&] { return scratch_array<int32_t>(context, n); };
  Picked picked{0, array(), array(), array(), array(), array()};
  // Without a branch, as nobody can guess which numbers are new.
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

// The members of each row, one after the other: those of row r are members[begin[r]] to members[begin[r + 1]].
struct RowLists {
  int32_t* begin;  // (R + 1)
  int32_t* members;
};

// Lists 0 ... n - 1 by their rows, in order.
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
