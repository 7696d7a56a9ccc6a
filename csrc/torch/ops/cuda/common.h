// What every operator needs between torch and the CUDA kernels: the device made current, its stream, scratch memory.
// Of torch's CUDA headers only c10's are used: ATen's want parts of the toolkit that these sources don't need.
#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "kernels/cuda/cuda_kernels.h"
#include "ops/common.h"

namespace namegen::ops {

// While it lives, the device of `tensor` is the current one. Kernels go to the stream that is current on it.
class OnDevice {
 public:
  explicit OnDevice(const Tensor& tensor);

  // What plans must know of it; asked of the driver once a device.
  const cuda::Device& device() const { return device_; }
  cudaStream_t stream() const { return stream_; }
  // Memory from torch's allocator, for kernels on the stream.
  Tensor scratch(size_t bytes) const;

 private:
  c10::cuda::CUDAGuard guard_;
  c10::cuda::CUDAStream stream_;
  cuda::Device device_;
};

}  // namespace namegen::ops
