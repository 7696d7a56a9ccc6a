#include "ops/operator_support.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/large_pages.h"
#include "threads/arena.h"
#include "threads/thread_context.h"

namespace namegen::ops {

Activation parse_activation(std::string_view activation) {
  if (activation == "tanh") return Activation::kTanh;
  if (activation == "none") return Activation::kNone;
  TORCH_CHECK_VALUE(false, "activation must be 'none' or 'tanh', but got '", std::string(activation), "'");
}

DType data_type(at::ScalarType type, const char* argument) {
  switch (type) {
    case at::kFloat:
      return DType::kFloat32;
    case at::kDouble:
      return DType::kFloat64;
    case at::kBFloat16:
      return DType::kBFloat16;
    case at::kHalf:
      return DType::kFloat16;
    default:
      TORCH_CHECK(false, argument, " must be float32, float64, bfloat16 or float16, but has dtype ", type);
  }
}

at::ScalarType compute_type(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

std::string describe(const char* argument, const Tensor& tensor) {
  std::ostringstream text;
  text << argument << " of shape (";
  for (int64_t d = 0; d < tensor.dim(); ++d) text << (d > 0 ? ", " : "") << tensor.sym_size(d);
  text << ")";
  return text.str();
}

bool multiplies_bfloat16() {
#if defined(__x86_64__)
  // Where NAMEGEN_CPU_ISA asks for a narrower set, as tests do, the CPU counts as one that has no wider one.
  static const bool has = __builtin_cpu_supports("avx512bf16") && at::hasMKLDNN();
  return has && at::globalContext().userEnabledMkldnn() && std::string_view(cpu::kernels().isa) == "avx512";
#else
  return false;
#endif
}

Tensor contiguous_as(const Tensor& tensor, at::ScalarType type) {
  const Tensor typed = tensor.scalar_type() == type ? tensor : tensor.to(type);
  return typed.is_contiguous() ? typed : typed.contiguous();
}

Tensor empty_output(at::IntArrayRef sizes, const at::TensorOptions& options) {
  Tensor output = at::empty(sizes, options);
  cpu::ask_for_large_pages(output.mutable_data_ptr(), output.nbytes());
  return output;
}

using threads::kArenaBytes;

TorchContext::TorchContext(int64_t allowed)
    : torch_(threads::torch_threads()),
      num_threads_(threads::num_threads(torch_)),
      initially_allowed_(allowed),
      allowed_(allowed) {}

void* TorchContext::scratch(size_t bytes) {
  const size_t rounded = threads::rounded_to_alignment(bytes);
  if (used_ + rounded > kArenaBytes) return allocate(rounded);
  void* result = threads::arena() + used_;
  used_ += rounded;
  return result;
}

void* TorchContext::allocate(size_t bytes) {
  if (static_cast<int64_t>(bytes) > allowed_) throw OutOfRoom();
  blocks_.push_back(c10::GetCPUAllocator()->allocate(bytes));
  allowed_ -= static_cast<int64_t>(bytes);
  cpu::ask_for_large_pages(blocks_.back().get(), bytes);
  return blocks_.back().get();
}

int64_t TorchContext::room() const { return std::max(static_cast<int64_t>(kArenaBytes - used_), allowed_); }

void TorchContext::return_to(const Mark& mark) {
  used_ = mark.used;
  blocks_.resize(mark.blocks);
  allowed_ = mark.allowed;
}

Tensor TorchContext::scratch_tensor(at::IntArrayRef sizes, at::ScalarType type) {
  void* memory = scratch(c10::multiply_integers(sizes) * c10::elementSize(type));
  return at::from_blob(memory, sizes, at::TensorOptions().dtype(type));
}

Tensor contiguous_in(const Tensor& tensor, at::ScalarType type, TorchContext& context) {
  if (tensor.scalar_type() == type && tensor.is_contiguous()) return tensor;
  const Tensor copy = context.scratch_tensor(tensor.sizes(), type);
  copy.unsqueeze(0).copy_(tensor.unsqueeze(0));  // torch would transpose a matrix through a buffer from its allocator
  return copy;
}

Tensor TorchContext::allocated_tensor(at::IntArrayRef sizes, at::ScalarType type) {
  const size_t bytes = c10::multiply_integers(sizes) * c10::elementSize(type);
  return at::from_blob(allocate(bytes), sizes, at::TensorOptions().dtype(type));
}

int64_t TorchContext::threads(double micros) const { return cpu::worthwhile_threads(micros, num_threads_); }

void TorchContext::parallel(int64_t tasks, double micros, Task task, void* state) {
  threads::run_tasks(torch_, tasks, threads(micros), task, state);
}

}  // namespace namegen::ops
