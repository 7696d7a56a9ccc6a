// What all operators need between torch and the kernels: checks of arguments, dtypes, scratch memory and threads.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/SmallVector.h>

#include <optional>
#include <string>
#include <string_view>

#include "kernels/cpu/context.h"
#include "kernels/types.h"
#include "threads/torch_threads.h"

namespace namegen::ops {

using at::Tensor;
using std::optional;

// The activation of the name "none" or "tanh". Raises ValueError for any other name.
Activation parse_activation(std::string_view activation);

// The kernels' name for the dtype of the large tensors. Raises RuntimeError where no kernel takes it; the message names
// the argument.
DType data_type(at::ScalarType type, const char* argument);
// The dtype that values of this one are computed in: float64 for float64, else float32.
at::ScalarType compute_type(at::ScalarType type);

// For example "embedding_weight of shape (27, 10)", for error messages.
std::string describe(const char* argument, const Tensor& tensor);

// Whether torch's products in bfloat16 use instructions that multiply bfloat16.
bool multiplies_bfloat16();

// The tensor itself where it is contiguous and of the dtype, else a copy that is.
Tensor contiguous_as(const Tensor& tensor, at::ScalarType type);

// An uninitialised contiguous tensor on the CPU, which a kernel writes. A large one asks for large pages, which torch's
// allocator does not. Measured: 22 ms without, 3.7 ms with (the first writing of 52 MB).
Tensor empty_output(at::IntArrayRef sizes, const at::TensorOptions& options);

inline bool given(const optional<Tensor>& tensor) { return tensor.has_value() && tensor->defined(); }

// The product of all dimensions but the last.
inline int64_t rows_of(const Tensor& x) {
  int64_t rows = 1;
  for (int64_t d = 0; d < x.dim() - 1; ++d) rows *= x.size(d);
  return rows;
}

inline optional<Tensor> parameter(const optional<Tensor>& tensor, at::ScalarType compute) {
  return given(tensor) ? optional<Tensor>(contiguous_as(*tensor, compute)) : std::nullopt;
}

class TorchContext;
// The tensor itself where it is contiguous and of the dtype, else a copy in scratch memory.
Tensor contiguous_in(const Tensor& tensor, at::ScalarType type, TorchContext& context);

template <class T = void>
const void* data_or_null(const optional<Tensor>& tensor) {
  return tensor.has_value() && tensor->defined() ? tensor->const_data_ptr() : nullptr;
}
inline void* mutable_or_null(const Tensor& tensor) { return tensor.defined() ? tensor.mutable_data_ptr() : nullptr; }

// Gives kernels scratch memory and threads. Scratch memory comes from the arena that each thread keeps, and from
// torch's allocator where that is full. The threads are torch's.
class TorchContext final : public cpu::Context {
 public:
  struct OutOfRoom {};

  // `allowed` is the most bytes that it holds from torch's allocator at a time. Throws OutOfRoom where a kernel asks
  // for more.
  explicit TorchContext(int64_t allowed = INT64_MAX);

  void* scratch(size_t bytes) override;
  int64_t room() const override;
  Mark mark() const override { return {used_, blocks_.size(), allowed_}; }
  void return_to(const Mark& mark) override;
  // An uninitialised tensor in scratch memory.
  Tensor scratch_tensor(at::IntArrayRef sizes, at::ScalarType type);
  // The same from torch's allocator, also where the arena has room.
  Tensor allocated_tensor(at::IntArrayRef sizes, at::ScalarType type);
  // How many bytes it holds from torch's allocator at present.
  int64_t allocated() const { return initially_allowed_ - allowed_; }
  // Scratch memory that is asked for while a scope lives is free again after it.
  class Scope {
   public:
    explicit Scope(TorchContext& context) : context_(context), mark_(context.mark()) {}
    ~Scope() { context_.return_to(mark_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    TorchContext& context_;
    Mark mark_;
  };
  void parallel(int64_t tasks, double micros, Task task, void* state) override;
  int64_t threads(double micros) const override;

 private:
  void* allocate(size_t bytes);

  const threads::TorchThreads* torch_;
  int64_t num_threads_;
  size_t used_ = 0;  // of the thread's arena
  int64_t initially_allowed_, allowed_;
  c10::SmallVector<c10::DataPtr, 4> blocks_;
};

}  // namespace namegen::ops
