// Multiplications and additions in registers and nothing else. No kernel can exceed their rate.
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

int64_t multiply_adds(int64_t rounds) {
  // There are so many chains that none waits for the one before: two units, each with a result after four or five
  // cycles. aarch64's vectors are short, and its widest cores have four units.
  constexpr int kChains = kRegisters == 32 && kVectorBytes == 16 ? 24 : 12;
  volatile float opaque = 0.5f;  // the compiler knows nothing of its value
  const Vec<float> factor = broadcast(float(opaque));
  Vec<float> sums[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sums[i] = broadcast(float(i));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sums[i] = sums[i] * factor + factor;
  }
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) opaque = sum_lanes<float>(sums[i]);  // the compiler may drop none of the chains
  return rounds * kChains * kWidth<float> * 2;
}

}  // namespace namegen::cpu::NAMEGEN_ISA
