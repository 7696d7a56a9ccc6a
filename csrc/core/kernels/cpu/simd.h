// One vector type for every instruction set: the compiler's own vector extension, as wide as the flags of this
// translation unit allow. Each unit lives in a namespace of its own, NAMEGEN_ISA. Nothing here calls a function
// template of the standard library: the linker could keep a copy that was compiled for a wider instruction set.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <utility>

#include "kernels/types.h"

#if !defined(NAMEGEN_ISA)
#define NAMEGEN_ISA baseline
#endif

namespace namegen::cpu::NAMEGEN_ISA {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
inline constexpr int kRegisters = 32;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
inline constexpr int kRegisters = 16;
#elif defined(__aarch64__)
inline constexpr int kVectorBytes = 16;
inline constexpr int kRegisters = 32;
#else
inline constexpr int kVectorBytes = 16;
inline constexpr int kRegisters = 16;
#endif

// Asks for the cache line of an address, which need not be mapped. It is assembly, since gcc 12 takes nested loops of
// __builtin_prefetch for loops without effect and drops them.
inline void prefetch(const char* address) {
#if defined(__x86_64__)
  asm volatile("prefetcht0 %0" : : "m"(*address));
#else
  __builtin_prefetch(address);
#endif
}

// The same for a line that will be written. A CPU that lacks the instruction ignores it.
inline void prefetch_to_write(const char* address) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*address));
#else
  __builtin_prefetch(address, 1);
#endif
}

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
  typedef T unaligned __attribute__((vector_size(kVectorBytes), aligned(alignof(T)), may_alias));
  static constexpr int width = kVectorBytes / sizeof(T);
};
template <class T>
using Vec = typename VectorOf<T>::type;
template <class T>
inline constexpr int kWidth = VectorOf<T>::width;

// The type in which a data type is computed.
template <class Data>
struct ComputeOf {
  using type = float;
};
template <>
struct ComputeOf<double> {
  using type = double;
};
template <class Data>
using Compute = typename ComputeOf<Data>::type;

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
inline Vec<T> broadcast(T value) {
  return value - Vec<T>{};  // folds to one broadcast; -0.0 - 0.0 stays -0.0
}

template <class T>
inline Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::unaligned*>(p);
}
template <class T>
inline void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VectorOf<T>::unaligned*>(p) = v;
}

// The first n of 2 or 4 lanes (0 <= n < lanes), by halves. This is for instruction sets without masked loads: compilers
// turn a loop over the lanes into a call of memcpy, in the midst of a product's own loop.
template <class V, class T>
inline V load_by_halves(const T* p, int64_t n) {
  static_assert(sizeof(V) == 2 * sizeof(T) || sizeof(V) == 4 * sizeof(T));
  V v = {};
  if constexpr (sizeof(V) == 4 * sizeof(T)) {
    if (n & 2) {
      v[0] = p[0];
      v[1] = p[1];
      if (n & 1) v[2] = p[2];
      return v;
    }
  }
  if (n & 1) v[0] = p[0];
  return v;
}
template <class V, class T>
inline void store_by_halves(T* p, V v, int64_t n) {
  static_assert(sizeof(V) == 2 * sizeof(T) || sizeof(V) == 4 * sizeof(T));
  if constexpr (sizeof(V) == 4 * sizeof(T)) {
    if (n & 2) {
      p[0] = v[0];
      p[1] = v[1];
      if (n & 1) p[2] = v[2];
      return;
    }
  }
  if (n & 1) p[0] = v[0];
}

// The first n lanes (0 <= n <= width). The other lanes are 0. Memory beyond them is neither read nor written.
#if defined(__AVX512F__)
inline Vec<float> load_first(const float* p, int64_t n) {
  return (Vec<float>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
inline Vec<double> load_first(const double* p, int64_t n) {
  return (Vec<double>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
inline void store_first(float* p, Vec<float> v, int64_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
inline void store_first(double* p, Vec<double> v, int64_t n) {
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#elif defined(__AVX2__)
inline __m256i first_lanes(const float*, int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline __m256i first_lanes(const double*, int64_t n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
inline Vec<float> load_first(const float* p, int64_t n) { return (Vec<float>)_mm256_maskload_ps(p, first_lanes(p, n)); }
inline Vec<double> load_first(const double* p, int64_t n) {
  return (Vec<double>)_mm256_maskload_pd(p, first_lanes(p, n));
}
inline void store_first(float* p, Vec<float> v, int64_t n) { _mm256_maskstore_ps(p, first_lanes(p, n), (__m256)v); }
inline void store_first(double* p, Vec<double> v, int64_t n) { _mm256_maskstore_pd(p, first_lanes(p, n), (__m256d)v); }
#else
template <class T>
inline Vec<T> load_first(const T* p, int64_t n) {
  return n == kWidth<T> ? load(p) : load_by_halves<Vec<T>>(p, n);
}
template <class T>
inline void store_first(T* p, Vec<T> v, int64_t n) {
  if (n == kWidth<T>) return store(p, v);
  store_by_halves(p, v, n);
}
#endif

// a < b ? a : b, as the hardware's minimum has it: b where either is NaN.
inline Vec<float> lesser(Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_min_ps((__m256)a, (__m256)b);
#else
  return a < b ? a : b;
#endif
}
inline Vec<double> lesser(Vec<double> a, Vec<double> b) { return a < b ? a : b; }

inline Vec<float> square_roots(Vec<float> v) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_sqrt_ps((__m256)v);
#elif defined(__x86_64__)
  return (Vec<float>)_mm_sqrt_ps((__m128)v);
#elif defined(__aarch64__)
  return (Vec<float>)vsqrtq_f32((float32x4_t)v);
#else
  for (int i = 0; i < kWidth<float>; ++i) v[i] = square_root(v[i]);
  return v;
#endif
}
inline Vec<double> square_roots(Vec<double> v) {
#if defined(__AVX512F__)
  return (Vec<double>)_mm512_sqrt_pd((__m512d)v);
#elif defined(__AVX2__)
  return (Vec<double>)_mm256_sqrt_pd((__m256d)v);
#elif defined(__x86_64__)
  return (Vec<double>)_mm_sqrt_pd((__m128d)v);
#elif defined(__aarch64__)
  return (Vec<double>)vsqrtq_f64((float64x2_t)v);
#else
  for (int i = 0; i < kWidth<double>; ++i) v[i] = square_root(v[i]);
  return v;
#endif
}

// ---- data in memory <-> vectors of the compute type -----------------------------------------------------------------

typedef uint32_t UInt32Vec __attribute__((vector_size(kVectorBytes)));
typedef uint16_t UInt16Half __attribute__((vector_size(kVectorBytes / 2)));
typedef uint16_t UInt16HalfUnaligned __attribute__((vector_size(kVectorBytes / 2), aligned(2), may_alias));

// Loads the first n lanes; the others are 0. A loop over the last lanes would be slow. Measured: a quarter of the time
// of batch norm with tanh went into such a loop, two fifths without tanh (bfloat16, the last 8 of 200 columns,
// AVX-512); 2% were gained with pieces of 4, 2 and 1 lanes (AVX2).
inline UInt16Half load_half_words(const void* p, int64_t n) {
  if (n == kWidth<float>) return *reinterpret_cast<const UInt16HalfUnaligned*>(p);
#if defined(__AVX512F__)
  return (UInt16Half)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(__AVX2__)
  UInt16Half v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = static_cast<const uint16_t*>(p)[i];
  return v;
#else
  return load_by_halves<UInt16Half>(static_cast<const uint16_t*>(p), n);
#endif
}
inline void store_half_words(void* p, UInt16Half v, int64_t n) {
  if (n == kWidth<float>) {
    *reinterpret_cast<UInt16HalfUnaligned*>(p) = v;
    return;
  }
#if defined(__AVX512F__)
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1), (__m256i)v);
#elif defined(__AVX2__)
  for (int64_t i = 0; i < n; ++i) static_cast<uint16_t*>(p)[i] = v[i];
#else
  store_by_halves(static_cast<uint16_t*>(p), v, n);
#endif
}

inline Vec<float> widen(UInt16Half halves, BFloat16) {
  return (Vec<float>)(__builtin_convertvector(halves, UInt32Vec) << 16);
}
// Rounds to the nearest, ties to even. A NaN stays a (quiet) NaN.
#if defined(__AVX512F__)
inline UInt16Half narrow(Vec<float> v, BFloat16) {
  const UInt32Vec bits = (UInt32Vec)v;
  const UInt32Vec rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const __mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
  const __m512i result = _mm512_mask_or_epi32((__m512i)rounded, nan, (__m512i)bits, _mm512_set1_epi32(0x400000));
  return (UInt16Half)_mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16));
}
#else
inline UInt16Half narrow(Vec<float> v, BFloat16) {
  const UInt32Vec bits = (UInt32Vec)v;
  const UInt32Vec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const UInt32Vec nan = (bits >> 16) | 0x40;
  return __builtin_convertvector((UInt32Vec)(v == v) != 0 ? rounded : nan, UInt16Half);
}
#endif

#if defined(__AVX512F__)
inline Vec<float> widen(UInt16Half halves, Float16) { return (Vec<float>)_mm512_cvtph_ps((__m256i)halves); }
inline UInt16Half narrow(Vec<float> v, Float16) {
  return (UInt16Half)_mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(__F16C__)
inline Vec<float> widen(UInt16Half halves, Float16) { return (Vec<float>)_mm256_cvtph_ps((__m128i)halves); }
inline UInt16Half narrow(Vec<float> v, Float16) {
  return (UInt16Half)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(__aarch64__)
inline Vec<float> widen(UInt16Half halves, Float16) { return (Vec<float>)vcvt_f32_f16((float16x4_t)halves); }
inline UInt16Half narrow(Vec<float> v, Float16) { return (UInt16Half)vcvt_f16_f32((float32x4_t)v); }
#else
// Without the hardware's conversion: integer arithmetic, where a float multiplication scales the exponent.
inline Vec<float> widen(UInt16Half halves, Float16) {
  const UInt32Vec h = __builtin_convertvector(halves, UInt32Vec);
  const UInt32Vec sign = (h & 0x8000) << 16;
  const UInt32Vec magnitude = (h & 0x7fff) << 13;
  const UInt32Vec two_to_112 = UInt32Vec{} + 0x77800000u;
  const UInt32Vec finite = (UInt32Vec)((Vec<float>)magnitude * (Vec<float>)two_to_112);  // exact
  const UInt32Vec special = magnitude | 0x7f800000u;                                     // infinity or NaN
  return (Vec<float>)(sign | ((h & 0x7c00) == 0x7c00 ? special : finite));
}
inline UInt16Half narrow(Vec<float> v, Float16) {
  const UInt32Vec bits = (UInt32Vec)v;
  const UInt32Vec sign = (bits >> 16) & 0x8000;
  const UInt32Vec magnitude = bits & 0x7fffffffu;
  // Normal results: rebias by 112 and round 13 bits away, ties to even.
  const UInt32Vec normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Subnormal results: adding 0.5 leaves units of 2^-24 in the low bits, rounded by the addition itself.
  const UInt32Vec half = UInt32Vec{} + 0x3f000000u;
  const UInt32Vec subnormal = (UInt32Vec)((Vec<float>)magnitude + (Vec<float>)half) - half;
  UInt32Vec h = magnitude < (113u << 23) ? subnormal : normal;
  h = magnitude >= 0x477ff000u ? UInt32Vec{} + 0x7c00u : h;  // from 65520 on: infinity
  h = magnitude > 0x7f800000u ? UInt32Vec{} + 0x7e00u : h;   // NaN
  return __builtin_convertvector(h | sign, UInt16Half);
}
#endif

// Loads lanes [0, n) of data as the compute type. The other lanes are 0.
template <class Data>
inline Vec<Compute<Data>> load_data(const Data* p, int64_t n) {
  if constexpr (sizeof(Data) == 2) {
    return widen(load_half_words(p, n), Data{});
  } else {
    return n == kWidth<Data> ? load(p) : load_first(p, n);
  }
}
template <class Data>
inline void store_data(Data* p, Vec<Compute<Data>> v, int64_t n) {
  if constexpr (sizeof(Data) == 2) {
    store_half_words(p, narrow(v, Data{}), n);
  } else if (n == kWidth<Data>) {
    store(p, v);
  } else {
    store_first(p, v, n);
  }
}

// ---- across lanes ---------------------------------------------------------------------------------------------------

template <class T, int Distance, int... I>
inline Vec<T> rotate_lanes(Vec<T> v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, ((I + Distance) % kWidth<T>)...);
}

// Combines all lanes, and puts the result into each of them. It works by halves, in registers, because the way through
// memory is slower. Measured: twice the time through memory (a row of 27 logits).
template <class T, int Distance = kWidth<T> / 2, class Combine>
inline Vec<T> combine_lanes(Vec<T> v, const Combine& combine) {
  if constexpr (Distance == 0) {
    return v;
  } else {
    const Vec<T> other = rotate_lanes<T, Distance>(v, std::make_integer_sequence<int, kWidth<T>>{});
    return combine_lanes<T, Distance / 2>(combine(v, other), combine);
  }
}

template <class T>
inline T sum_lanes(Vec<T> v) {
  return combine_lanes<T>(v, [](Vec<T> a, Vec<T> b) { return a + b; })[0];
}

}  // namespace namegen::cpu::NAMEGEN_ISA
