// Which rows of a minibatch are equal. Minibatches of names repeat themselves: a seventh of all contexts is the empty
// one, and of 1,024 contexts of three characters, about 500 are distinct (of 32: 27; of their 128 pairs in a context of
// eight: 47). Equal rows have equal activations, so that every level computes each once, and adds up the gradients of
// all places that hold it: the same sums as over the whole minibatch, in another order.
#pragma once

#include "kernels/cpu/parallel.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The distinct rows of one level, in the order in which they first occur.
struct DistinctRows {
  int64_t count;     // R
  int32_t* row_of;   // (places): a place is a position of an example
  int32_t* repeats;  // (R): at how many places each occurs
  int32_t* parts;    // (R, group): what each is made of, symbols or rows of the level below
};

// The members of each row, one after the other: those of row r are members[begin[r]] to members[begin[r + 1]].
struct RowLists {
  int32_t* begin;  // (R + 1)
  int32_t* members;
};

// Lists 0 ... n - 1 by their rows, in order.
inline RowLists list_by_row(const int32_t* row_of, int64_t n, int64_t rows, Context& context) {
  const RowLists lists{scratch_array<int32_t>(context, rows + 1), scratch_array<int32_t>(context, n)};
  int32_t* next = scratch_array<int32_t>(context, rows);
  fill_zero(next, rows);
  for (int64_t i = 0; i < n; ++i) ++next[row_of[i]];
  int32_t before = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const int32_t size = next[r];
    lists.begin[r] = next[r] = before;
    before += size;
  }
  lists.begin[rows] = before;
  for (int64_t i = 0; i < n; ++i) lists.members[next[row_of[i]]++] = static_cast<int32_t>(i);
  return lists;
}

// Numbers equal keys: row_of[i] is the number of keys[i], by first occurrence. Keys lie below `span`. Returns how many
// there are; repeats and first, of n each, tell how often and where each occurs (first).
inline int64_t number_keys(const uint64_t* keys, int64_t n, uint64_t span, int32_t* row_of, int32_t* repeats,
                           int32_t* first, Context& context) {
  int bits = 1;
  while ((int64_t{1} << bits) < 2 * n) ++bits;
  const uint64_t slots = uint64_t{1} << bits;
  int32_t* row_in = scratch_array<int32_t>(context, int64_t(slots));  // by slot: 1 + row, or 0
  fill_zero(row_in, int64_t(slots));
  // Fibonacci hashing, Knuth 1973; few enough keys have a slot each.
  const bool direct = span <= slots;
  int32_t rows = 0;
  for (int64_t i = 0; i < n; ++i) {
    uint64_t slot = direct ? keys[i] : (keys[i] * 0x9E3779B97F4A7C15u) >> (64 - bits);
    while (row_in[slot] != 0 && keys[first[row_in[slot] - 1]] != keys[i]) slot = (slot + 1) & (slots - 1);
    if (row_in[slot] == 0) {
      first[rows] = static_cast<int32_t>(i);
      repeats[rows] = 0;
      row_in[slot] = ++rows;
    }
    row_of[i] = row_in[slot] - 1;
    ++repeats[row_of[i]];
  }
  return rows;
}

// The distinct rows of values (places, group), each of which lies below `span`.
inline DistinctRows find_distinct_rows(const int32_t* values, int64_t places, int64_t group, int64_t span,
                                       Context& context) {
  DistinctRows result;
  result.row_of = scratch_array<int32_t>(context, places);
  result.repeats = scratch_array<int32_t>(context, places);
  int32_t* first = scratch_array<int32_t>(context, places);
  uint64_t* keys = scratch_array<uint64_t>(context, places);
  for (int64_t i = 0; i < places; ++i) keys[i] = static_cast<uint64_t>(values[i * group]);
  const uint64_t base = static_cast<uint64_t>(span);
  uint64_t keys_below = base;
  for (int64_t part = 1; part < group; ++part) {
    if (keys_below > UINT64_MAX / base) {  // would overflow: the parts so far get numbers of their own
      keys_below =
          static_cast<uint64_t>(number_keys(keys, places, keys_below, result.row_of, result.repeats, first, context));
      for (int64_t i = 0; i < places; ++i) keys[i] = static_cast<uint64_t>(result.row_of[i]);
    }
    for (int64_t i = 0; i < places; ++i) keys[i] = keys[i] * base + static_cast<uint64_t>(values[i * group + part]);
    keys_below *= base;
  }
  result.count = number_keys(keys, places, keys_below, result.row_of, result.repeats, first, context);
  result.parts = scratch_array<int32_t>(context, result.count * group);
  for (int64_t r = 0; r < result.count; ++r) {
    for (int64_t part = 0; part < group; ++part) result.parts[r * group + part] = values[first[r] * group + part];
  }
  return result;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
