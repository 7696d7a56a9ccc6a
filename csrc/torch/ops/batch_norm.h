// The checks of batch_norm's arguments, which its CPU side and its CUDA side share.
#pragma once

#include <array>
#include <tuple>

#include "ops/common.h"

namespace namegen::ops::batch_norm {

using Triple = std::tuple<Tensor, Tensor, Tensor>;

// Both raise RuntimeError or ValueError where an argument does not fit; the message names it.
void check(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
           const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double eps);
void check_gradient(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                    const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, Activation activation);

// Calls torch.ops.namegen_ext.batch_norm through the dispatcher.
Tensor call(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
            const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum, double eps,
            std::string_view activation);

// Counts a kernel's change of a tensor, which autograd must see. Below autograd's dispatch keys nothing else does it.
inline void note_change(const optional<Tensor>& tensor) {
  if (given(tensor) && !tensor->is_inference()) tensor->unsafeGetTensorImpl()->bump_version();
}

}  // namespace namegen::ops::batch_norm
