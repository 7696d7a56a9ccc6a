// The data types in device code: the type in which each is computed, conversions, accesses of several values, and the
// functions that are fused into the kernels.
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/types.h"

#if !defined(NAMEGEN_EMULATE_CUDA)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace namegen::cuda {

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

// The number of values that one access of 16 bytes holds.
template <class Data>
inline constexpr int kFullWidth = 16 / sizeof(Data);

// ---- conversions ----------------------------------------------------------------------------------------------------

inline __device__ float to_compute(float x) { return x; }
inline __device__ double to_compute(double x) { return x; }
#if !defined(NAMEGEN_EMULATE_CUDA)
inline __device__ float to_compute(BFloat16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }
inline __device__ float to_compute(Float16 x) { return __half2float(__ushort_as_half(x.bits)); }
#else
inline float to_compute(BFloat16 x) { return emulation::from_bfloat16(x.bits); }
inline float to_compute(Float16 x) { return emulation::from_float16(x.bits); }
#endif

template <class Data>
__device__ Data to_data(Compute<Data> x);
template <>
inline __device__ float to_data<float>(float x) {
  return x;
}
template <>
inline __device__ double to_data<double>(double x) {
  return x;
}
#if !defined(NAMEGEN_EMULATE_CUDA)
template <>
inline __device__ BFloat16 to_data<BFloat16>(float x) {
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
}
template <>
inline __device__ Float16 to_data<Float16>(float x) {
  return {__half_as_ushort(__float2half_rn(x))};
}
#else
template <>
inline BFloat16 to_data<BFloat16>(float x) {
  return {emulation::to_bfloat16(x)};
}
template <>
inline Float16 to_data<Float16>(float x) {
  return {emulation::to_float16(x)};
}
#endif

// ---- several values at a time ---------------------------------------------------------------------------------------

template <class T, int Width>
struct alignas(sizeof(T) * Width) Values {
  T at[Width];
};

template <int Width, class T>
inline __device__ Values<T, Width> load_values(const T* from) {
  return *reinterpret_cast<const Values<T, Width>*>(from);
}
template <int Width, class T>
inline __device__ void store_values(T* to, const Values<T, Width>& values) {
  *reinterpret_cast<Values<T, Width>*>(to) = values;
}

// Rounds compute values to data values, and stores them.
template <class Data, int Width>
inline __device__ void store_data(Data* to, const Compute<Data> (&values)[Width]) {
  Values<Data, Width> rounded;
#pragma unroll
  for (int j = 0; j < Width; ++j) rounded.at[j] = to_data<Data>(values[j]);
  store_values(to, rounded);
}

// Reads compute values in pieces of at most 16 bytes. `from` must be aligned to the size of a piece.
template <int Width, class T>
inline __device__ void load_compute(const T* from, T (&values)[Width]) {
  constexpr int kPiece = Width * sizeof(T) > 16 ? 16 / static_cast<int>(sizeof(T)) : Width;
#pragma unroll
  for (int j = 0; j < Width; j += kPiece) {
    const Values<T, kPiece> piece = load_values<kPiece>(from + j);
#pragma unroll
    for (int i = 0; i < kPiece; ++i) values[j + i] = piece.at[i];
  }
}

template <int Width, class T>
inline __device__ void store_compute(T* to, const T (&values)[Width]) {
  constexpr int kPiece = Width * sizeof(T) > 16 ? 16 / static_cast<int>(sizeof(T)) : Width;
#pragma unroll
  for (int j = 0; j < Width; j += kPiece) {
    Values<T, kPiece> piece;
#pragma unroll
    for (int i = 0; i < kPiece; ++i) piece.at[i] = values[j + i];
    store_values(to + j, piece);
  }
}

// ---- functions ------------------------------------------------------------------------------------------------------

inline __device__ float activate(float z, Activation activation) {
  return activation == Activation::kTanh ? tanhf(z) : z;
}
inline __device__ double activate(double z, Activation activation) {
  return activation == Activation::kTanh ? tanh(z) : z;
}

// Token number i. It must lie in [0, vocab).
inline __device__ int checked_token(const void* tokens, TokenType type, int64_t i, int vocab) {
  int64_t token;
  if (type == TokenType::kInt64) {
    token = static_cast<const int64_t*>(tokens)[i];
  } else if (type == TokenType::kInt32) {
    token = static_cast<const int32_t*>(tokens)[i];
  } else {
    token = static_cast<const uint8_t*>(tokens)[i];
  }
  if (token < 0 || token >= vocab) {
    assert(!"tokens: index out of range of embedding_weight");
    stop_kernel();  // the compiler need not keep values for what would follow
  }
  return static_cast<int>(token);
}

// ---- host side ------------------------------------------------------------------------------------------------------

inline size_t size_of(DType type) { return type == DType::kFloat64 ? 8 : type == DType::kFloat32 ? 4 : 2; }
inline size_t compute_size_of(DType type) { return type == DType::kFloat64 ? 8 : 4; }

__host__ __device__ constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
__host__ __device__ constexpr int64_t round_up(int64_t a, int64_t multiple) { return ceil_div(a, multiple) * multiple; }
__host__ __device__ constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
__host__ __device__ constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

inline bool is_aligned(const void* pointer, size_t bytes) { return reinterpret_cast<uintptr_t>(pointer) % bytes == 0; }

// Calls call(Data()) with the type that stands for `type`.
template <class Call>
cudaError_t with_data_type(DType type, const Call& call) {
  switch (type) {
    case DType::kFloat32:
      return call(float());
    case DType::kFloat64:
      return call(double());
    case DType::kBFloat16:
      return call(BFloat16());
    case DType::kFloat16:
      return call(Float16());
  }
  return cudaErrorInvalidValue;
}

}  // namespace namegen::cuda
