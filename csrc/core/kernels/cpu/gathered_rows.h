// Rows that are named by numbers: their copies and their sums.
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/cpu/tanh.h"

namespace namegen::cpu::NAMEGEN_ISA {

// Copies row number[i] of the source to row i of the target, for i < count. Rows are `columns` values (whole vectors).
template <class T>
inline void gather_rows(const T* source, int64_t columns, const int32_t* number, int64_t count, T* target) {
  for (int64_t i = 0; i < count; ++i) {
    const T* from = source + number[i] * columns;
    T* to = target + i * columns;
    for (int64_t c = 0; c < columns; c += kWidth<T>) store(to + c, load(from + c));
  }
}

// A table whose rows lie `stride` apart, and for each row of a sum the numbers of `block` rows of the table.
template <class T>
struct TableSums {
  const T* table;
  int64_t stride;
  const int32_t* row_of;  // (rows, block)
  int64_t block;
  int64_t columns;
};

// Calls finish(row, column, sum) for rows [first, end) and each vector of columns: sum over t of table[row_of[row][t]].
// Block is the number of positions; 0 stands for any number.
template <int Block, class T, class Finish>
inline void sum_table_rows_of(const TableSums<T>& p, int64_t first, int64_t end, const Finish& finish_sums) {
  const Finish finish = finish_sums;  // a copy, see `tile` in gemm.h
  const int64_t block = Block > 0 ? Block : p.block, columns = p.columns;
  for (int64_t r = first; r < end; ++r) {
    const int32_t* row_of = p.row_of + r * block;
    const T* rows[Block > 0 ? Block : 1];
    for (int t = 0; t < Block; ++t) rows[t] = p.table + row_of[t] * p.stride;
    const auto row = [&](int64_t t) { return Block > 0 ? rows[t] : p.table + row_of[t] * p.stride; };
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      Vec<T> sum = load(row(0) + c);
      for (int64_t t = 1; t < block; ++t) sum += load(row(t) + c);
      finish(r, c, sum);
    }
  }
}

// The same for any number of positions. The numbers that models often have are compiled for themselves.
template <class T, class Finish>
inline void sum_table_rows(const TableSums<T>& p, int64_t first, int64_t end, const Finish& finish) {
  switch (p.block) {
    case 2:
      return sum_table_rows_of<2>(p, first, end, finish);
    case 3:
      return sum_table_rows_of<3>(p, first, end, finish);
    case 8:
      return sum_table_rows_of<8>(p, first, end, finish);
    default:
      return sum_table_rows_of<0>(p, first, end, finish);
  }
}

// Row r of the target = (1 - y[r]^2) times the sum of the source's rows members[begin[r]] ... members[begin[r + 1] -
// 1], for r in [first, end): the gradient before the tanh that made y, of which those rows are copies. Rows are
// `columns` values (whole vectors).
template <class T>
inline void sum_listed_rows_before_tanh(const T* source, int64_t columns, const int32_t* begin, const int32_t* members,
                                        const T* y, int64_t first, int64_t end, T* target) {
  for (int64_t r = first; r < end; ++r) {
    const int64_t from = begin[r], to = begin[r + 1];
    for (int64_t c = 0; c < columns; c += kWidth<T>) {
      Vec<T> sum = {};
      for (int64_t i = from; i < to; ++i) sum += load(source + members[i] * columns + c);
      const Vec<T> value = load(y + r * columns + c);
      store(target + r * columns + c, sum * (1 - value * value));
    }
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
