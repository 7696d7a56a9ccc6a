// Inversion: counts the thresholds of a row that are at most a word.
#pragma once

#include "engine/sampling/sampling_kernels.h"
#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

typedef uint32_t UInt32Unaligned __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));

// Compares all 16 or 32 thresholds of a row at once. That takes no branch, and less work than a search.
template <int Width>
struct PickByComparing {
  static uint32_t pick(const uint32_t* row, int64_t, uint32_t word) {
#if defined(__AVX512F__)
    const __m512i words = _mm512_set1_epi32(static_cast<int>(word));
    uint32_t passed = _mm512_cmple_epu32_mask(_mm512_loadu_si512(row), words);
    if constexpr (Width == 32) passed |= uint32_t{_mm512_cmple_epu32_mask(_mm512_loadu_si512(row + 16), words)} << 16;
    return static_cast<uint32_t>(__builtin_popcount(passed));
#elif defined(__AVX2__)
    // AVX2 has no unsigned comparison: t <= w where max(t, w) == w. The results are packed to a byte each, in some
    // order.
    const __m256i words = _mm256_set1_epi32(static_cast<int>(word));
    const auto passed = [&](int i) {
      const __m256i t = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + i));
      return _mm256_cmpeq_epi32(_mm256_max_epu32(t, words), words);
    };
    const __m256i low = _mm256_packs_epi32(passed(0), passed(8));
    const __m256i high = Width == 32 ? _mm256_packs_epi32(passed(Width - 16), passed(Width - 8)) : __m256i{};
    const int mask = _mm256_movemask_epi8(_mm256_packs_epi16(low, high));
    return static_cast<uint32_t>(__builtin_popcount(static_cast<uint32_t>(mask)));
#else
    UInt32Vec passed = {};
    const UInt32Vec words = UInt32Vec{} + word;
    constexpr int kLanes = kVectorBytes / sizeof(uint32_t);
#pragma GCC unroll 8
    for (int i = 0; i < Width; i += kLanes) {
      passed -= (UInt32Vec)(*reinterpret_cast<const UInt32Unaligned*>(row + i) <= words);
    }
    uint32_t count = 0;
    for (int lane = 0; lane < kLanes; ++lane) count += passed[lane];
    return count;
#endif
  }
};

// Searches by halves, without a branch that could be mispredicted.
struct PickByHalves {
  static uint32_t pick(const uint32_t* row, int64_t width, uint32_t word) {
    uint32_t position = 0;
    for (uint32_t half = static_cast<uint32_t>(width) / 2; half >= 1; half /= 2) {
      position += row[position + half - 1] <= word ? half : 0;
    }
    return position;
  }
};

template <class Pick>
inline uint32_t draw_symbol(const sampling::Rows& rows, uint32_t row, uint32_t word) {
  if (__builtin_expect(word == sampling::kLargestWord, 0)) return static_cast<uint32_t>(rows.last[row]);
  return Pick::pick(rows.thresholds + row * rows.width, rows.width, word);
}

// Calls body with the way of picking for a width.
template <class Body>
inline auto with_pick(int64_t width, const Body& body) {
  if (width == 16) return body(PickByComparing<16>{});
  if (width == 32) return body(PickByComparing<32>{});
  return body(PickByHalves{});
}

}  // namespace namegen::cpu::NAMEGEN_ISA
