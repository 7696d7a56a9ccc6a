// What all operators need between torch and the CUDA kernels: the current device, its stream and scratch memory.
// Of torch's CUDA headers only c10's are included, because ATen's want parts of the CUDA toolkit that may be missing.
#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "kernels/cuda/cuda_kernels.h"
#include "ops/operator_support.h"

namespace namegen::ops {

// The device of `tensor` is the current one while this lives. Kernels go to the stream that is current on it.
class OnDevice {
 public:
  explicit OnDevice(const Tensor& tensor);

  // What the plans of kernels depend on. The driver is asked once for each device.
  const cuda::Device& device() const { return device_; }
  cudaStream_t stream() const { return stream_; }
  // Memory from torch's allocator for kernels on this stream.
  Tensor scratch(size_t bytes) const;

 private:
  c10::cuda::CUDAGuard guard_;
  c10::cuda::CUDAStream stream_;
  cuda::Device device_;
};

}  // namespace namegen::ops
