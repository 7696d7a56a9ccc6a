// The few words of CUDA that the kernels use, in one place, so that the same sources can be compiled for the emulation.
// They need no launch syntax, no static shared memory and no warp intrinsics.
#pragma once

#include "kernels/cuda/runtime.h"

#if !defined(NAMEGEN_EMULATE_CUDA)
#include <cooperative_groups.h>
#undef NDEBUG  // a token outside the embedding must end the kernel in every build
#include <cassert>

// The block's dynamic shared memory.
#define NAMEGEN_SHARED_MEMORY(name) extern __shared__ __align__(16) unsigned char name[]

namespace namegen::cuda {

// A grid: blocks, threads a block, dynamic shared memory a block, and whether its blocks wait for each other.
struct Grid {
  dim3 blocks;
  int threads;
  size_t shared_bytes;
  bool cooperative = false;
};

[[noreturn]] inline __device__ void stop_kernel() {
  __trap();
  __builtin_unreachable();
}

// Reads what another block has written, from the L2 cache.
template <class T>
inline __device__ T load_past_l1(const T* from) {
  return __ldcg(from);
}

// Waits until all blocks of the grid have come so far, and sees what they wrote. The grid must be launched as
// cooperative.
inline __device__ void wait_for_grid() { cooperative_groups::this_grid().sync(); }

// Enqueues kernel(arguments).
template <class Arguments>
cudaError_t launch(void (*kernel)(Arguments), const Grid& grid, Arguments arguments, cudaStream_t stream) {
  const void* function = reinterpret_cast<const void*>(kernel);
  constexpr size_t kWithoutAsking = 48 * 1024;
  if (grid.shared_bytes > kWithoutAsking) {
    const cudaError_t error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   static_cast<int>(grid.shared_bytes));
    if (error != cudaSuccess) return error;
  }
  void* pointers[] = {&arguments};
  const dim3 threads(grid.threads);
  return grid.cooperative
             ? cudaLaunchCooperativeKernel(function, grid.blocks, threads, pointers, grid.shared_bytes, stream)
             : cudaLaunchKernel(function, grid.blocks, threads, pointers, grid.shared_bytes, stream);
}

}  // namespace namegen::cuda
#endif
