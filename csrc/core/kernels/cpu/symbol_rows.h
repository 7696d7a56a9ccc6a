// Which symbols occur at each position of a minibatch. Kernels compute one row for each of them, not for each example.
#pragma once

#include "kernels/cpu/parallel.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The distinct symbols of every position, numbered. Row base[t] + i stands for the i-th symbol that occurs at position
// t. The row of example n at position t is row_of[n * block + t].
struct SymbolRows {
  int64_t block;
  int64_t* base;     // (T + 1): the first row of each position; base[T] is the number of rows
  int32_t* symbols;  // (rows): the symbol of each row
  int32_t* row_of;   // (N, T)
  int64_t rows() const { return base[block]; }
};

inline SymbolRows number_symbols(const EmbeddingConcatLinearShape& shape, const int32_t* tokens, Context& context) {
  const int64_t batch = shape.batch, block = shape.block, vocab = shape.vocab;
  SymbolRows result;
  result.block = block;
  result.base = scratch_array<int64_t>(context, block + 1);
  result.symbols = scratch_array<int32_t>(context, block * smaller(vocab, batch) + 1);
  result.row_of = scratch_array<int32_t>(context, batch * block);
  // (T, V): 1 where the symbol occurs, then its row.
  int32_t* row_of_symbol = scratch_array<int32_t>(context, block * vocab);

  fill_zero(row_of_symbol, block * vocab);
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t t = 0; t < block; ++t) row_of_symbol[t * vocab + tokens[n * block + t]] = 1;
  }
  int32_t row = 0;
  for (int64_t t = 0; t < block; ++t) {
    result.base[t] = row;
    // This loop has no branch, which would be guessed wrong every other time. The row of a symbol that does not occur
    // is overwritten by that of the next one.
    for (int64_t s = 0; s < vocab; ++s) {
      const int32_t occurs = row_of_symbol[t * vocab + s];
      result.symbols[row] = static_cast<int32_t>(s);
      row_of_symbol[t * vocab + s] = row;
      row += occurs;
    }
  }
  result.base[block] = row;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t t = 0; t < block; ++t) {
      result.row_of[n * block + t] = row_of_symbol[t * vocab + tokens[n * block + t]];
    }
  }
  return result;
}

// The rows of all positions, cut into pieces that lie within one position. Each piece is a task that a thread can take.
struct RowTiles {
  static constexpr int64_t kRows = 24;
  int64_t count = 0;
  int64_t* position;
  int64_t* first;

  static int64_t most_of(const SymbolRows& symbols) { return symbols.rows() / kRows + symbols.block; }

  RowTiles(const SymbolRows& symbols, Context& context) {
    const int64_t most = most_of(symbols);
    position = scratch_array<int64_t>(context, most);
    first = scratch_array<int64_t>(context, most);
    for (int64_t t = 0; t < symbols.block; ++t) {
      for (int64_t r = symbols.base[t]; r < symbols.base[t + 1]; r += kRows) {
        position[count] = t;
        first[count++] = r;
      }
    }
  }
};

}  // namespace namegen::cpu::NAMEGEN_ISA
