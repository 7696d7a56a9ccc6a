// When embedding_concat_linear, forward or backward, computes rows per symbol: where this is cheaper and there is room.
#pragma once

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/gemm.h"

namespace namegen::cpu::NAMEGEN_ISA {

// The bytes by which a few arrays of scratch memory exceed their elements.
inline constexpr int64_t kRounding = 1024;

// Whether it is worth finding out which symbols occur, and whether there is room for their numbers. With fewer tokens
// than symbols hardly any symbol repeats.
inline bool may_use_table(const EmbeddingConcatLinearShape& shape, Algorithm algorithm, const Context& context) {
  if (algorithm != Algorithm::kByCost) return algorithm == Algorithm::kTable;
  if (shape.batch <= 1 || shape.batch * shape.block < shape.vocab) return false;
  const double numbers = double(shape.block) * (shape.vocab + shape.batch + smaller(shape.vocab, shape.batch) + 2);
  return numbers * sizeof(int32_t) + kRounding <= double(context.room());
}

// Whether there is room for the rows per symbol, beside `others` elements.
template <class Data>
inline bool table_fits(const EmbeddingConcatLinearShape& shape, int64_t rows, Activation activation, int64_t others,
                       const Context& context) {
  using T = Compute<Data>;
  const int64_t table = rows * row_stride<T>(shape.hidden) * int64_t(sizeof(T));
  return table <= table_limit(shape, activation, sizeof(Data)) &&
         table + others * int64_t(sizeof(T)) + kRounding <= context.room();
}

}  // namespace namegen::cpu::NAMEGEN_ISA
