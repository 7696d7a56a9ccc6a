// The checks of batch_norm's arguments, which its CPU side and its CUDA side share.
#pragma once

#include <array>
#include <tuple>

#include "ops/operator_support.h"

namespace namegen::ops::batch_norm {

using Triple = std::tuple<Tensor, Tensor, Tensor>;

// Both raise RuntimeError or ValueError where an argument does not fit; the message names it.
void check(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
           const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double eps);
void check_gradient(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                    const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, Activation activation);

// The checks of the parameters of `channels` channels alone. `of` says what is normalised, for messages.
void check_parameters(const c10::SymInt& channels, at::ScalarType type, at::Device device, const char* of,
                      const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                      const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double eps);

// 1 / sqrt(variance + eps), for a contiguous variance (C) of float32 or float64.
void inverse_deviations(const Tensor& variance, double eps, const Tensor& invstd);

// Calls torch.ops.namegen_ext.batch_norm_forward and batch_norm_backward through the dispatcher.
Triple call_forward(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                    const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                    double eps, c10::string_view activation);
Triple call_backward(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                     const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, bool training,
                     c10::string_view activation, std::array<bool, 3> output_mask);

// The gradients by torch's own differentiable operators. `output` is undefined where there is no activation.
Triple differentiable_backward(const Tensor& grad_output, const Tensor& x, const Tensor& output, const Tensor& weight,
                               const Tensor& mean, const Tensor& invstd, bool training, double eps);

// Calls torch.ops.namegen_ext.batch_norm through the dispatcher.
Tensor call(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
            const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum, double eps,
            std::string_view activation);

// Counts a kernel's change of a tensor, which autograd must see. Below autograd's dispatch keys nothing else does it.
inline void note_change(const optional<Tensor>& tensor) {
  if (given(tensor) && !tensor->is_inference()) tensor->unsafeGetTensorImpl()->bump_version();
}

}  // namespace namegen::ops::batch_norm
