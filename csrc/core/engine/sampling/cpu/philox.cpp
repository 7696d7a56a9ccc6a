// Philox4x32-10, a vector of samples at a time (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011). Each 32-bit word lies in a lane of 64 bits, whose upper half is never read. One instruction multiplies
// two lower halves, and the halves of the product are words of the next round.
#include "engine/sampling/cpu/sampling_kernel_table.h"
#include "kernels/cpu/simd.h"

namespace namegen::cpu::NAMEGEN_ISA {

namespace {

typedef uint64_t Lanes __attribute__((vector_size(kVectorBytes)));
typedef uint32_t Words __attribute__((vector_size(kVectorBytes / 2)));
typedef uint32_t WordsUnaligned __attribute__((vector_size(kVectorBytes / 2), aligned(4), may_alias));
constexpr int kLanes = kVectorBytes / sizeof(uint64_t);

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

// The product of the lower halves of each lane.
inline Lanes multiply(Lanes x, uint32_t y) {
#if defined(__AVX512F__)
  return (Lanes)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64(y));
#elif defined(__AVX2__)
  return (Lanes)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x(y));
#elif defined(__SSE2__)
  return (Lanes)_mm_mul_epu32((__m128i)x, _mm_set1_epi64x(y));
#else
  return (x & 0xffffffffu) * uint64_t{y};
#endif
}

inline void store_words(uint32_t* p, Lanes lanes) {
  *reinterpret_cast<WordsUnaligned*>(p) = __builtin_convertvector(lanes, Words);
}

}  // namespace

void philox_words(const sampling::PhiloxWords& p) {
  const uint64_t low = p.first & 0xffffffffu, high = p.first >> 32;
  for (int64_t i = 0; i < p.count; i += kLanes) {
    Lanes c0 = {};
    if (i + kLanes <= p.count) {
      c0 = __builtin_convertvector(*reinterpret_cast<const WordsUnaligned*>(p.slot + i), Lanes);
    } else {
      for (int64_t lane = 0; i + lane < p.count; ++lane) c0[lane] = p.slot[i + lane];
    }
    c0 += low;
    Lanes c1 = high + (c0 >> 32);
    Lanes c2 = Lanes{} + p.block, c3 = Lanes{} + p.attempt;
    uint32_t k0 = static_cast<uint32_t>(p.seed), k1 = static_cast<uint32_t>(p.seed >> 32);
    for (int round = 0; round < 10; ++round, k0 += kWeyl0, k1 += kWeyl1) {
      const Lanes product0 = multiply(c0, kMultiplier0), product1 = multiply(c2, kMultiplier1);
      c0 = (product1 >> 32) ^ c1 ^ k0;
      c1 = product1;
      c2 = (product0 >> 32) ^ c3 ^ k1;
      c3 = product0;
    }
    store_words(p.words + i, c0);
    store_words(p.words + p.stride + i, c1);
    store_words(p.words + 2 * p.stride + i, c2);
    store_words(p.words + 3 * p.stride + i, c3);
  }
}

}  // namespace namegen::cpu::NAMEGEN_ISA
