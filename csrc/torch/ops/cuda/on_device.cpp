#include "ops/cuda/on_device.h"

#include <ATen/ops/empty.h>
#include <cuda_runtime_api.h>

#include <array>
#include <mutex>

namespace namegen::ops {
namespace {

cuda::Device ask_device(int index) {
  int multiprocessors = 0, shared_bytes = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, index));
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, index));
  return {multiprocessors, shared_bytes};
}

cuda::Device known_device(int index) {
  constexpr int kMostDevices = 64;
  static std::array<std::once_flag, kMostDevices> asked;
  static std::array<cuda::Device, kMostDevices> devices;
  if (index < 0 || index >= kMostDevices) return ask_device(index);
  std::call_once(asked[index], [&] { devices[index] = ask_device(index); });
  return devices[index];
}

}  // namespace

OnDevice::OnDevice(const Tensor& tensor)
    : guard_(tensor.device()),
      stream_(c10::cuda::getCurrentCUDAStream(tensor.device().index())),
      device_(known_device(tensor.device().index())) {}

Tensor OnDevice::scratch(size_t bytes) const {
  const auto options = at::TensorOptions().dtype(at::kByte).device(guard_.current_device());
  return at::empty({static_cast<int64_t>(bytes)}, options);
}

}  // namespace namegen::ops
