// torch.ops.namegen_ext.batch_norm on CUDA devices. It only allocates memory and enqueues kernels: the host never waits
// for the device.
#include "ops/batch_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "ops/cuda/on_device.h"

namespace namegen::ops::batch_norm {
namespace {

// Running statistics as a kernel wants them, contiguous and in the compute dtype. Copies are written back at the end.
class Running {
 public:
  Running(const optional<Tensor>& tensor, at::ScalarType compute) {
    if (!given(tensor)) return;
    tensor_ = *tensor;
    working_ = contiguous_as(*tensor, compute);
  }
  void* data() const { return working_.defined() ? working_.mutable_data_ptr() : nullptr; }
  const Tensor& working() const { return working_; }
  void write_back() const {
    if (!tensor_.defined()) return;
    if (!working_.is_same(tensor_)) tensor_.copy_(working_);
    note_change(tensor_);
  }

 private:
  Tensor tensor_, working_;
};

void check_rows(const Tensor& x) {
  TORCH_CHECK(rows_of(x) <= INT32_MAX, "x must have fewer than 2^31 values per channel, but got ", describe("x", x));
}

Triple forward_cuda(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                    const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                    double eps, c10::string_view activation) {
  const Activation act = parse_activation(activation);
  check(x, running_mean, running_var, weight, bias, training, eps);
  check_rows(x);
  const OnDevice on(x);
  const auto type = x.scalar_type(), compute = compute_type(type);
  const Tensor input = contiguous_as(x, type);
  const auto gamma = parameter(weight, compute), beta = parameter(bias, compute);
  const Running moving_mean(running_mean, compute), moving_var(running_var, compute);

  Tensor output = at::empty(x.sizes(), x.options());  // (..., C)
  if (output.numel() == 0) {
    const auto zeros = [&] { return at::zeros({x.size(-1)}, x.options().dtype(compute)); };
    if (training) return {output, zeros(), zeros()};
    return {output, moving_mean.working().clone(), moving_var.working().add(eps).rsqrt_()};
  }
  Tensor mean = at::empty({x.size(-1)}, x.options().dtype(compute));  // (C)
  Tensor invstd = at::empty_like(mean);                               // (C)
  const cuda::BatchNormForward params{rows_of(x),
                                      x.size(-1),
                                      input.const_data_ptr(),
                                      output.mutable_data_ptr(),
                                      data_or_null(gamma),
                                      data_or_null(beta),
                                      mean.mutable_data_ptr(),
                                      invstd.mutable_data_ptr(),
                                      moving_mean.data(),
                                      moving_var.data(),
                                      training,
                                      momentum,
                                      eps,
                                      act};
  const DType data = data_type(type, "x");
  const auto plan = cuda::plan_batch_norm_forward(data, params, on.device());
  const Tensor scratch = on.scratch(plan.scratch_bytes);
  C10_CUDA_CHECK(cuda::batch_norm_forward(data, params, plan, scratch.mutable_data_ptr(), on.stream()));
  if (training) {
    moving_mean.write_back();
    moving_var.write_back();
  }
  return {output, mean, invstd};
}

Tensor output_cuda(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                   const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                   double eps, c10::string_view activation) {
  return std::get<0>(forward_cuda(x, running_mean, running_var, weight, bias, training, momentum, eps, activation));
}

Triple backward_cuda(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                     const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, bool training,
                     c10::string_view activation, std::array<bool, 3> output_mask) {
  const Activation act = parse_activation(activation);
  check_gradient(grad_output, x, output, weight, mean, invstd, act);
  check_rows(x);
  const OnDevice on(x);
  const auto type = x.scalar_type(), compute = compute_type(type);
  const Tensor input = contiguous_as(x, type), dy = contiguous_as(grad_output, type);
  const Tensor y = act == Activation::kTanh ? contiguous_as(*output, type) : Tensor();
  const Tensor mean_c = contiguous_as(mean, compute), invstd_c = contiguous_as(invstd, compute);
  const auto gamma = parameter(weight, compute);

  Tensor grad_input, grad_weight, grad_bias;
  if (output_mask[0]) grad_input = at::empty(x.sizes(), x.options());           // (..., C)
  if (output_mask[1]) grad_weight = at::empty({x.size(-1)}, mean_c.options());  // (C)
  if (output_mask[2]) grad_bias = at::empty({x.size(-1)}, mean_c.options());    // (C)
  if (x.numel() == 0) {
    if (output_mask[1]) grad_weight.zero_();
    if (output_mask[2]) grad_bias.zero_();
  } else {
    const cuda::BatchNormBackward params{rows_of(x),
                                         x.size(-1),
                                         input.const_data_ptr(),
                                         y.defined() ? y.const_data_ptr() : nullptr,
                                         dy.const_data_ptr(),
                                         data_or_null(gamma),
                                         mean_c.const_data_ptr(),
                                         invstd_c.const_data_ptr(),
                                         mutable_or_null(grad_input),
                                         mutable_or_null(grad_weight),
                                         mutable_or_null(grad_bias),
                                         training,
                                         act};
    const DType data = data_type(type, "x");
    const auto plan = cuda::plan_batch_norm_backward(data, params, on.device());
    const Tensor scratch = on.scratch(plan.scratch_bytes);
    C10_CUDA_CHECK(cuda::batch_norm_backward(data, params, plan, scratch.mutable_data_ptr(), on.stream()));
  }
  const auto parameter_type = given(weight) ? weight->scalar_type() : compute;
  const auto as_given = [&](const Tensor& t) {
    return t.defined() && t.scalar_type() != parameter_type ? t.to(parameter_type) : t;
  };
  return {grad_input, as_given(grad_weight), as_given(grad_bias)};
}

TORCH_LIBRARY_IMPL(namegen_ext, CUDA, m) {
  m.impl("batch_norm", output_cuda);
  m.impl("batch_norm_forward", forward_cuda);
  m.impl("batch_norm_backward", backward_cuda);
}

}  // namespace
}  // namespace namegen::ops::batch_norm
