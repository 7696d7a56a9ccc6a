// CUDA on the CPU, as far as csrc/core/kernels/cuda uses it. A kernel's threads are fibers of one thread, which take
// turns at the barriers. So the kernels' own sources are tested where there is no GPU: indices, barriers, orders of
// summation and, under AddressSanitizer and UndefinedBehaviorSanitizer, every access of global and shared memory and
// its alignment. Not tested are what the compiler for the GPU makes of the sources, their speed, and real concurrency.
// For a part of the last, fibers can be run in another order, and the results must not change.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#define __host__
#define __device__
#define __global__
#define __launch_bounds__(...)
#define NAMEGEN_SHARED_MEMORY(name) unsigned char* name = ::namegen::cuda::emulation::shared_memory()

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorAssert = 710 };
using cudaStream_t = void*;

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  explicit dim3(unsigned x, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace namegen::cuda {

struct Grid {
  dim3 blocks;
  int threads;
  size_t shared_bytes;
  bool cooperative = false;
};

namespace emulation {

// The order in which threads run between two barriers, and blocks after each other.
enum class Order { kUp, kDown, kShuffled };
extern Order order;

struct Indices {
  dim3 thread, block, block_size;
};
const Indices& indices();
unsigned char* shared_memory();
void wait_for_block();
void wait_for_grid();
// Runs kernel(arguments) for every thread of the grid. Returns cudaErrorAssert where one fails an assertion.
cudaError_t run(const Grid& grid, void (*call)(const void* kernel, const void* arguments), const void* kernel,
                const void* arguments);

struct AssertionFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

float from_bfloat16(uint16_t bits);
float from_float16(uint16_t bits);
uint16_t to_bfloat16(float value);
uint16_t to_float16(float value);

}  // namespace emulation

template <class T>
T load_past_l1(const T* from) {
  return *from;
}
inline void wait_for_grid() { emulation::wait_for_grid(); }
[[noreturn]] inline void stop_kernel() { throw emulation::AssertionFailed("the kernel was stopped"); }

template <class Arguments>
cudaError_t launch(void (*kernel)(Arguments), const Grid& grid, Arguments arguments, cudaStream_t) {
  const auto call = [](const void* function, const void* values) {
    (*static_cast<void (*const*)(Arguments)>(function))(*static_cast<const Arguments*>(values));
  };
  return emulation::run(grid, call, &kernel, &arguments);
}

}  // namespace namegen::cuda

#define threadIdx (::namegen::cuda::emulation::indices().thread)
#define blockIdx (::namegen::cuda::emulation::indices().block)
#define blockDim (::namegen::cuda::emulation::indices().block_size)
#define __syncthreads() ::namegen::cuda::emulation::wait_for_block()
#undef assert
#define assert(condition) \
  ((condition) ? void() : throw ::namegen::cuda::emulation::AssertionFailed("assertion failed: " #condition))
