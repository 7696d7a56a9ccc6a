// What the tests of the CUDA kernels share: memory that the kernels can use, in the emulation or on a GPU, and the data
// types as numbers.
#pragma once

#include <cstring>

#include "../support.h"
#include "kernels/cuda/cuda_kernels.h"

#if !defined(NAMEGEN_EMULATE_CUDA)
#include <cuda_runtime_api.h>
#endif

namespace namegen::test {

#if defined(NAMEGEN_EMULATE_CUDA)
inline void check_cuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "FAILED: %s ended with error %d\n", what, int(error));
  std::exit(1);
}
inline void* allocate(size_t bytes) { return cpu::allocate_aligned(64, (bytes + 63) / 64 * 64 + 64); }
inline void release(void* memory) { cpu::free_aligned(memory); }
inline void copy(void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }
inline void fill(void* memory, int byte, size_t bytes) { std::memset(memory, byte, bytes); }
inline void synchronize() {}
#else
inline void check_cuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "FAILED: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}
inline void* allocate(size_t bytes) {
  void* memory = nullptr;
  check_cuda(cudaMalloc(&memory, bytes > 0 ? bytes : 1), "cudaMalloc");
  return memory;
}
inline void release(void* memory) { cudaFree(memory); }
inline void copy(void* to, const void* from, size_t bytes) {
  check_cuda(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "cudaMemcpy");
}
inline void fill(void* memory, int byte, size_t bytes) { check_cuda(cudaMemset(memory, byte, bytes), "cudaMemset"); }
inline void synchronize() { check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize"); }
#endif

// `count` values on the device. At first all their bits are set, which is NaN. `offset` bytes before them make them
// unaligned.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count, size_t offset = 0)
      : count_(count), memory_(allocate(count * sizeof(T) + offset)), data_(static_cast<char*>(memory_) + offset) {
    fill(data_, 0xff, count * sizeof(T));
  }
  explicit DeviceArray(const std::vector<T>& values, size_t offset = 0) : DeviceArray(values.size(), offset) {
    copy(data_, values.data(), count_ * sizeof(T));
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { release(memory_); }

  T* data() const { return reinterpret_cast<T*>(data_); }
  std::vector<T> values() const {
    std::vector<T> result(count_);
    synchronize();
    copy(result.data(), data_, count_ * sizeof(T));
    return result;
  }

 private:
  size_t count_;
  void* memory_;
  char* data_;
};

// ---- data types as numbers ------------------------------------------------------------------------------------------

template <class Data>
struct Numbers;
template <>
struct Numbers<float> {
  static constexpr DType kType = DType::kFloat32;
  static constexpr double kEpsilon = 0x1p-23, kComputeEpsilon = 0x1p-23, kSmallest = 0;
  static constexpr const char* kName = "float32";
  using Compute = float;
  static double to_double(float x) { return x; }
  static float from_double(double x) { return static_cast<float>(x); }
};
template <>
struct Numbers<double> {
  static constexpr DType kType = DType::kFloat64;
  static constexpr double kEpsilon = 0x1p-52, kComputeEpsilon = 0x1p-52, kSmallest = 0;
  static constexpr const char* kName = "float64";
  using Compute = double;
  static double to_double(double x) { return x; }
  static double from_double(double x) { return x; }
};
template <>
struct Numbers<BFloat16> {
  static constexpr DType kType = DType::kBFloat16;
  static constexpr double kEpsilon = 0x1p-7, kComputeEpsilon = 0x1p-23, kSmallest = 0;
  static constexpr const char* kName = "bfloat16";
  using Compute = float;
  static double to_double(BFloat16 x) {
    const uint32_t wide = uint32_t(x.bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
  }
  static BFloat16 from_double(double x) {  // truncated: any number that the type holds will do
    const auto narrow = static_cast<float>(x);
    uint32_t bits;
    std::memcpy(&bits, &narrow, sizeof bits);
    return {static_cast<uint16_t>(bits >> 16)};
  }
};
template <>
struct Numbers<Float16> {
  static constexpr DType kType = DType::kFloat16;
  static constexpr double kEpsilon = 0x1p-10, kComputeEpsilon = 0x1p-23, kSmallest = 0x1p-24;
  static constexpr const char* kName = "float16";
  using Compute = float;
  static double to_double(Float16 x) {
    const int exponent = x.bits >> 10 & 31, fraction = x.bits & 1023;
    const double size = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                        : exponent == 0 ? std::ldexp(double(fraction), -24)
                                        : std::ldexp(double(fraction + 1024), exponent - 25);
    return (x.bits & 0x8000) != 0 ? -size : size;
  }
  static Float16 from_double(double x) {  // truncated, for 2^-14 <= |x| < 65504; smaller ones become 0
    int exponent = 0;
    const double fraction = std::frexp(std::fabs(x), &exponent);
    if (exponent < -13) return {0};
    const int places = static_cast<int>(fraction * 2048);  // 1024 ... 2047
    return {static_cast<uint16_t>((x < 0 ? 0x8000 : 0) | ((exponent + 14) * 1024 + places - 1024))};
  }
};

template <class Data>
std::vector<Data> as_data(const std::vector<double>& values) {
  std::vector<Data> result;
  for (const double v : values) result.push_back(Numbers<Data>::from_double(v));
  return result;
}
template <class Data>
std::vector<double> as_double(const std::vector<Data>& values) {
  std::vector<double> result;
  for (const Data v : values) result.push_back(Numbers<Data>::to_double(v));
  return result;
}
inline std::vector<double> magnitudes(std::vector<double> values) {
  for (double& v : values) v = std::fabs(v);
  return values;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// Whether |got - expected| <= bound, element by element. A NaN is within no bound.
inline void compare(const std::vector<double>& got, const std::vector<double>& expected,
                    const std::vector<double>& bound, const std::string& what) {
  for (size_t i = 0; i < got.size(); ++i) {
    check(std::fabs(got[i] - expected[i]) <= bound[i],
          what + ": element " + std::to_string(i) + " is " + std::to_string(got[i]) + ", expected " +
              std::to_string(expected[i]) + " within " + std::to_string(bound[i]));
  }
}

// The devices that plans are made for: on a GPU its own, in the emulation made-up ones.
inline std::vector<cuda::Device> devices() {
#if defined(NAMEGEN_EMULATE_CUDA)
  return {{132, 227 * 1024}, {3, 99 * 1024}, {5, 48 * 1024}};
#else
  int device = 0, multiprocessors = 0, shared = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  check_cuda(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "attribute");
  check_cuda(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "attribute");
  // The GPU's own, then one with less of everything, for the ways that a smaller device takes.
  return {{multiprocessors, shared}, {multiprocessors < 3 ? multiprocessors : 3, shared}, {multiprocessors, 48 * 1024}};
#endif
}

// Calls body() once more. On a GPU the order of threads is as it comes. In the emulation it is another one than at
// first: the reverse and a shuffled one by turns.
template <class Body>
void in_another_order(const Body& body) {
#if defined(NAMEGEN_EMULATE_CUDA)
  using cuda::emulation::Order;
  static bool reverse = false;
  reverse = !reverse;
  cuda::emulation::order = reverse ? Order::kDown : Order::kShuffled;
  body();
  cuda::emulation::order = Order::kUp;
#else
  body();
#endif
}

}  // namespace namegen::test
