// What the CPU and the CUDA side of batch_norm share: the checks of its arguments.
#pragma once

#include <array>
#include <tuple>

#include "ops/common.h"

namespace namegen::ops::batch_norm {

using Triple = std::tuple<Tensor, Tensor, Tensor>;

// Raise RuntimeError or ValueError, naming the argument, where one does not fit.
void check(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
           const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double eps);
void check_gradient(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                    const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, Activation activation);

// torch.ops.namegen_ext.batch_norm, by way of the dispatcher.
Tensor call(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
            const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum, double eps,
            std::string_view activation);

// Autograd must see that a kernel changed a tensor; below its dispatch keys nothing counts that by itself.
inline void note_change(const optional<Tensor>& tensor) {
  if (given(tensor) && !tensor->is_inference()) tensor->unsafeGetTensorImpl()->bump_version();
}

}  // namespace namegen::ops::batch_norm
