// torch.ops.namegen_ext.batch_norm: schema, checks, CPU and fake kernels, and autograd. Its CUDA kernels are called in
// ops/cuda/batch_norm.cpp. Autocast converts no argument, as with torch's batch norm: x may be in the lower precision
// and the parameters in float32.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/cpu/cpu_kernels.h"
#include "ops/autograd.h"
#include "ops/batch_norm.h"

namespace namegen::ops::batch_norm {
namespace {

TORCH_LIBRARY_FRAGMENT(namegen_ext, m) {
  m.def(
      "batch_norm(Tensor x, Tensor(a!)? running_mean, Tensor(b!)? running_var, Tensor? weight, Tensor? bias, "
      "bool training, float momentum, float eps, str activation='none') -> Tensor",
      {at::Tag::pt2_compliant_tag});
  // The output with what it was normalised with: mean (C) and invstd (C), in the compute dtype.
  m.def(
      "batch_norm_forward(Tensor x, Tensor(a!)? running_mean, Tensor(b!)? running_var, Tensor? weight, Tensor? bias, "
      "bool training, float momentum, float eps, str activation) -> (Tensor, Tensor, Tensor)",
      {at::Tag::pt2_compliant_tag});
  // output_mask: which of the gradients of x, weight and bias are wanted.
  m.def(
      "batch_norm_backward(Tensor grad_output, Tensor x, Tensor? output, Tensor? weight, Tensor mean, Tensor invstd, "
      "bool training, str activation, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
      {at::Tag::pt2_compliant_tag});
}

// ---- checks ---------------------------------------------------------------------------------------------------------

void check_channels(const char* argument, const optional<Tensor>& tensor, const c10::SymInt& channels,
                    at::ScalarType type, at::Device device, const char* of) {
  if (!given(tensor)) return;
  TORCH_CHECK(tensor->dim() == 1 && tensor->sym_size(0) == channels, argument, " must be (C,) = (", channels,
              ",), one value a channel of ", of, ", but got ", describe(argument, *tensor));
  TORCH_CHECK(tensor->device() == device, argument, " must be on the device of ", of, ", ", device, ", but is on ",
              tensor->device());
  const auto own = tensor->scalar_type();
  TORCH_CHECK(own == type || own == compute_type(type), argument, " must have the dtype of ", of, ", ", type, ", or ",
              compute_type(type), ", but has ", own);
}

void check_channels(const char* argument, const optional<Tensor>& tensor, const Tensor& x) {
  check_channels(argument, tensor, x.sym_size(-1), x.scalar_type(), x.device(), "x");
}

}  // namespace

void check_parameters(const c10::SymInt& channels, at::ScalarType type, at::Device device, const char* of,
                      const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                      const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double eps) {
  check_channels("running_mean", running_mean, channels, type, device, of);
  check_channels("running_var", running_var, channels, type, device, of);
  check_channels("weight", weight, channels, type, device, of);
  check_channels("bias", bias, channels, type, device, of);
  if (training) {
    TORCH_CHECK_VALUE(eps > 0, "eps must be positive in training, but is ", eps);
    TORCH_CHECK_VALUE(given(running_mean) == given(running_var),
                      "running_mean and running_var must both be given or both be None, but only ",
                      given(running_mean) ? "running_mean" : "running_var", " is given");
  } else {
    TORCH_CHECK(given(running_mean), "running_mean must be given in evaluation, but is None");
    TORCH_CHECK(given(running_var), "running_var must be given in evaluation, but is None");
  }
}

void check(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
           const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double eps) {
  data_type(x.scalar_type(), "x");
  TORCH_CHECK(x.dim() >= 2, "x must have at least two dimensions, (..., C), but got ", describe("x", x));
  check_parameters(x.sym_size(-1), x.scalar_type(), x.device(), "x", running_mean, running_var, weight, bias, training,
                   eps);
  if (!training) return;
  c10::SymInt rows = 1;
  for (int64_t d = 0; d < x.dim() - 1; ++d) rows *= x.sym_size(d);
  TORCH_CHECK_VALUE(rows != 1, "x must have more than one value per channel in training, but got ", describe("x", x));
}

void check_gradient(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                    const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, Activation activation) {
  data_type(x.scalar_type(), "x");
  const auto must_be_given = [](const char* argument, const Tensor& tensor) {
    TORCH_CHECK(tensor.defined(), argument, " must be given, but is None");
  };
  must_be_given("grad_output", grad_output);
  must_be_given("mean", mean);
  must_be_given("invstd", invstd);
  const auto same_as_x = [&](const char* argument, const Tensor& tensor) {
    TORCH_CHECK(
        tensor.sym_sizes() == x.sym_sizes() && tensor.scalar_type() == x.scalar_type() && tensor.device() == x.device(),
        argument, " must have the shape, dtype and device of x, ", x.sym_sizes(), " ", x.scalar_type(), " ", x.device(),
        ", but has ", tensor.sym_sizes(), " ", tensor.scalar_type(), " ", tensor.device());
  };
  same_as_x("grad_output", grad_output);
  if (activation == Activation::kTanh) {
    TORCH_CHECK(given(output), "output must be given where activation is 'tanh'");
    same_as_x("output", *output);
  }
  check_channels("weight", weight, x);
  check_channels("mean", mean, x);
  check_channels("invstd", invstd, x);
}

namespace {

// ---- fake kernels: shapes alone -------------------------------------------------------------------------------------

Tensor output_like(const Tensor& x) { return at::empty_symint(x.sym_sizes(), x.options()); }

Triple forward_meta(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                    const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double, double eps,
                    c10::string_view activation) {
  parse_activation(activation);
  check(x, running_mean, running_var, weight, bias, training, eps);
  const auto statistics = x.options().dtype(compute_type(x.scalar_type()));
  return {output_like(x), at::empty_symint({x.sym_size(-1)}, statistics),
          at::empty_symint({x.sym_size(-1)}, statistics)};
}

Tensor output_meta(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                   const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                   double eps, c10::string_view activation) {
  return std::get<0>(forward_meta(x, running_mean, running_var, weight, bias, training, momentum, eps, activation));
}

Triple backward_meta(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                     const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, bool,
                     c10::string_view activation, std::array<bool, 3> output_mask) {
  check_gradient(grad_output, x, output, weight, mean, invstd, parse_activation(activation));
  const auto parameters = x.options().dtype(given(weight) ? weight->scalar_type() : compute_type(x.scalar_type()));
  return {output_mask[0] ? output_like(x) : Tensor(),
          output_mask[1] ? at::empty_symint({x.sym_size(-1)}, parameters) : Tensor(),
          output_mask[2] ? at::empty_symint({x.sym_size(-1)}, parameters) : Tensor()};
}

// ---- CPU ------------------------------------------------------------------------------------------------------------

template <class T>
void inverse_deviations_of(const Tensor& variance, double eps, const Tensor& invstd) {
  const T* var = variance.const_data_ptr<T>();
  T* result = invstd.mutable_data_ptr<T>();
  for (int64_t c = 0; c < variance.numel(); ++c) result[c] = 1 / std::sqrt(var[c] + static_cast<T>(eps));
}

}  // namespace

void inverse_deviations(const Tensor& variance, double eps, const Tensor& invstd) {
  const bool is_double = variance.scalar_type() == at::kDouble;
  (is_double ? inverse_deviations_of<double> : inverse_deviations_of<float>)(variance, eps, invstd);
}

namespace {

// Calls body(first, count) for one group of channels after another. A group is so large that the kernel's sums and the
// values of this file, at most six a channel, fit into the thread's arena.
template <class Body>
void for_channels(int64_t rows, int64_t channels, at::ScalarType compute, TorchContext& context, const Body& body) {
  constexpr int64_t kBytes = 768 << 10, kMultiple = 64;
  const int64_t each = (cpu::batch_norm_scratch(rows) + 6) * int64_t(c10::elementSize(compute));
  const int64_t group = kBytes / each / kMultiple * kMultiple;
  for (int64_t first = 0; first < channels; first += group) {
    const TorchContext::Scope scope(context);
    body(first, std::min(group, channels - first));
  }
}

// The values of `count` channels from a tensor with one value a channel.
Tensor part(const Tensor& tensor, int64_t first, int64_t count) {
  return tensor.size(0) == count ? tensor : tensor.narrow(0, first, count);
}

// The same in the compute dtype, as a copy in scratch memory where the tensor has another dtype. Undefined where there
// is no tensor.
Tensor part_in(const optional<Tensor>& tensor, int64_t first, int64_t count, at::ScalarType compute,
               TorchContext& context) {
  return given(tensor) ? contiguous_in(part(*tensor, first, count), compute, context) : Tensor();
}

// The address of channel `first` in the first row of a contiguous (..., C) tensor; null where it is undefined.
void* from_channel(const Tensor& tensor, int64_t first) {
  if (!tensor.defined()) return nullptr;
  return static_cast<std::byte*>(tensor.data_ptr()) + first * int64_t(tensor.element_size());
}

// Computes the output, and where `keeps` is true the mean and invstd that it was normalised with.
Triple normalised(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                  const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                  double eps, c10::string_view activation, bool keeps) {
  const Activation act = parse_activation(activation);
  check(x, running_mean, running_var, weight, bias, training, eps);
  const auto type = x.scalar_type(), compute = compute_type(type);
  const int64_t rows = rows_of(x), channels = x.size(-1);
  const Tensor input = contiguous_as(x, type);
  Tensor output = empty_output(x.sizes(), x.options());  // (..., C)
  Tensor mean, invstd;                                   // (C)
  if (keeps) {
    mean = at::empty({channels}, x.options().dtype(compute));
    invstd = at::empty({channels}, x.options().dtype(compute));
  }
  TorchContext context;
  for_channels(rows, channels, compute, context, [&](int64_t first, int64_t count) {
    const Tensor gamma = part_in(weight, first, count, compute, context);
    const Tensor beta = part_in(bias, first, count, compute, context);
    const Tensor moving_mean = part_in(running_mean, first, count, compute, context);
    const Tensor moving_var = part_in(running_var, first, count, compute, context);
    const auto statistic = [&](const Tensor& kept) {
      return keeps ? part(kept, first, count) : context.scratch_tensor({count}, compute);
    };
    const Tensor group_mean = training || keeps ? statistic(mean) : moving_mean, group_invstd = statistic(invstd);
    if (!training) {
      if (keeps) group_mean.copy_(moving_mean);
      inverse_deviations(moving_var, eps, group_invstd);
    }
    const cpu::BatchNormForward params{rows,
                                       count,
                                       channels,
                                       from_channel(input, first),
                                       from_channel(output, first),
                                       data_or_null(gamma),
                                       data_or_null(beta),
                                       group_mean.mutable_data_ptr(),
                                       group_invstd.mutable_data_ptr(),
                                       training ? mutable_or_null(moving_mean) : nullptr,
                                       training ? mutable_or_null(moving_var) : nullptr,
                                       training,
                                       momentum,
                                       eps,
                                       act};
    cpu::kernels().batch_norm_forward[static_cast<int>(data_type(type, "x"))](params, context);
    const auto write_back = [&](const optional<Tensor>& statistics, const Tensor& moved) {
      if (!training || !moved.defined()) return;
      Tensor target = part(*statistics, first, count);
      if (target.const_data_ptr() != moved.const_data_ptr()) target.copy_(moved);
    };
    write_back(running_mean, moving_mean);
    write_back(running_var, moving_var);
  });
  if (training) {
    note_change(running_mean);
    note_change(running_var);
  }
  return {output, mean, invstd};
}

Triple forward_cpu(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                   const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                   double eps, c10::string_view activation) {
  return normalised(x, running_mean, running_var, weight, bias, training, momentum, eps, activation, /*keeps=*/true);
}

Tensor output_cpu(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                  const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                  double eps, c10::string_view activation) {
  return std::get<0>(
      normalised(x, running_mean, running_var, weight, bias, training, momentum, eps, activation, /*keeps=*/false));
}

Triple backward_cpu(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                    const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, bool training,
                    c10::string_view activation, std::array<bool, 3> output_mask) {
  const Activation act = parse_activation(activation);
  check_gradient(grad_output, x, output, weight, mean, invstd, act);
  const auto type = x.scalar_type(), compute = compute_type(type);
  const int64_t rows = rows_of(x), channels = x.size(-1);
  const auto parameter_type = given(weight) ? weight->scalar_type() : compute;
  const Tensor input = contiguous_as(x, type), dy = contiguous_as(grad_output, type);
  const Tensor y = act == Activation::kTanh ? contiguous_as(*output, type) : Tensor();

  Tensor grad_input, grad_weight, grad_bias;
  // Where dy is a copy, dx is written over it: each value of dx depends on the value of dy in the same place alone.
  if (output_mask[0]) grad_input = dy.is_same(grad_output) ? empty_output(x.sizes(), x.options()) : dy;  // (..., C)
  if (output_mask[1]) grad_weight = at::empty({channels}, x.options().dtype(parameter_type));            // (C)
  if (output_mask[2]) grad_bias = at::empty({channels}, x.options().dtype(parameter_type));              // (C)
  TorchContext context;
  for_channels(rows, channels, compute, context, [&](int64_t first, int64_t count) {
    const Tensor gamma = part_in(weight, first, count, compute, context);
    const Tensor group_mean = part_in(mean, first, count, compute, context);
    const Tensor group_invstd = part_in(invstd, first, count, compute, context);
    const auto gradient = [&](const Tensor& whole) {
      if (!whole.defined()) return Tensor();
      return parameter_type == compute ? part(whole, first, count) : context.scratch_tensor({count}, compute);
    };
    const Tensor group_weight = gradient(grad_weight), group_bias = gradient(grad_bias);
    const cpu::BatchNormBackward params{rows,
                                        count,
                                        channels,
                                        from_channel(input, first),
                                        from_channel(y, first),
                                        from_channel(dy, first),
                                        data_or_null(gamma),
                                        group_mean.const_data_ptr(),
                                        group_invstd.const_data_ptr(),
                                        from_channel(grad_input, first),
                                        mutable_or_null(group_weight),
                                        mutable_or_null(group_bias),
                                        training,
                                        act};
    cpu::kernels().batch_norm_backward[static_cast<int>(data_type(type, "x"))](params, context);
    const auto write_back = [&](const Tensor& whole, const Tensor& computed) {
      if (whole.defined() && parameter_type != compute) part(whole, first, count).copy_(computed);
    };
    write_back(grad_weight, group_weight);
    write_back(grad_bias, group_bias);
  });
  return {grad_input, grad_weight, grad_bias};
}

}  // namespace

Tensor call(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
            const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum, double eps,
            std::string_view activation) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("namegen_ext::batch_norm", "").typed<decltype(output_cpu)>();
  return op.call(x, running_mean, running_var, weight, bias, training, momentum, eps, activation);
}

// ---- autograd -------------------------------------------------------------------------------------------------------

Triple call_forward(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                    const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                    double eps, c10::string_view activation) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("namegen_ext::batch_norm_forward", "")
                             .typed<decltype(forward_cpu)>();
  return op.call(x, running_mean, running_var, weight, bias, training, momentum, eps, activation);
}

Triple call_backward(const Tensor& grad_output, const Tensor& x, const optional<Tensor>& output,
                     const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, bool training,
                     c10::string_view activation, std::array<bool, 3> output_mask) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("namegen_ext::batch_norm_backward", "")
                             .typed<decltype(backward_cpu)>();
  return op.call(grad_output, x, output, weight, mean, invstd, training, activation, output_mask);
}

// The same gradients by torch's own differentiable operators, for create_graph=True. In training mean and invstd are
// computed again, because they depend on x. `output` is a saved result of this node, so 1 - y^2 depends on the inputs.
Triple differentiable_backward(const Tensor& grad_output, const Tensor& x, const Tensor& output, const Tensor& weight,
                               const Tensor& mean, const Tensor& invstd, bool training, double eps) {
  const auto type = mean.scalar_type();
  const Tensor rows = x.reshape({-1, x.size(-1)}).to(type);                                  // (N, C)
  const Tensor dy = (output.defined() ? grad_output * (1 - output * output) : grad_output);  // (..., C)
  const Tensor dz = dy.reshape(rows.sizes()).to(type);                                       // (N, C)
  Tensor centred = rows - mean, inv = invstd;
  if (training) {
    centred = rows - rows.mean(0);
    inv = (centred * centred).mean(0).add(eps).rsqrt();  // (C)
  }
  const Tensor xhat = centred * inv;  // (N, C)
  const Tensor product = dz * xhat;
  Tensor dx = training ? dz - dz.mean(0) - xhat * product.mean(0) : dz;
  dx = dx * (weight.defined() ? weight.to(type) * inv : inv);
  const auto parameter_type = weight.defined() ? weight.scalar_type() : type;
  return {dx.reshape(x.sizes()).to(x.scalar_type()), product.sum(0).to(parameter_type), dz.sum(0).to(parameter_type)};
}

namespace {

struct BatchNorm {
  static constexpr const char* kName = "NamegenExtBatchNormBackward";
  static constexpr size_t kInputs = 3;  // x, weight, bias
  static constexpr size_t kSaved = 5;
  using Options = std::tuple<bool, double>;  // training, eps

  static variable_list backward(const Tensor& grad_output, const std::array<Tensor, kSaved>& saved,
                                const Options& options, const std::array<bool, kInputs>& wanted) {
    const auto& [x, weight, output, mean, invstd] = saved;  // output: undefined without tanh
    const auto [training, eps] = options;
    Triple grads;
    if (at::GradMode::is_enabled()) {
      grads = differentiable_backward(grad_output, x, output, weight, mean, invstd, training, eps);
    } else {
      const auto maybe = [](const Tensor& t) { return t.defined() ? optional<Tensor>(t) : std::nullopt; };
      grads = call_backward(grad_output, x, maybe(output), maybe(weight), mean, invstd, training,
                            output.defined() ? "tanh" : "none", wanted);
    }
    const auto& [grad_x, grad_weight, grad_bias] = grads;
    return {wanted[0] ? grad_x : Tensor(), wanted[1] ? grad_weight : Tensor(), wanted[2] ? grad_bias : Tensor()};
  }
};

Tensor output_autograd(const Tensor& x, const optional<Tensor>& running_mean, const optional<Tensor>& running_var,
                       const optional<Tensor>& weight, const optional<Tensor>& bias, bool training, double momentum,
                       double eps, c10::string_view activation) {
  const bool recorded = needs_gradient("batch_norm", x, weight, bias);
  Triple result;
  {
    at::AutoDispatchBelowADInplaceOrView below;
    result = call_forward(x, running_mean, running_var, weight, bias, training, momentum, eps, activation);
  }
  const auto& [output, mean, invstd] = result;
  if (recorded) {
    const bool tanh = parse_activation(activation) == Activation::kTanh;
    record<BatchNorm>(output, x, weight, bias)
        ->save({x, given(weight) ? *weight : Tensor(), tanh ? output : Tensor(), mean, invstd}, 2, {training, eps});
  }
  return output;
}

TORCH_LIBRARY_IMPL(namegen_ext, CPU, m) {
  m.impl("batch_norm", output_cpu);
  m.impl("batch_norm_forward", forward_cpu);
  m.impl("batch_norm_backward", backward_cpu);
}
TORCH_LIBRARY_IMPL(namegen_ext, Meta, m) {
  m.impl("batch_norm", output_meta);
  m.impl("batch_norm_forward", forward_meta);
  m.impl("batch_norm_backward", backward_meta);
}
TORCH_LIBRARY_IMPL(namegen_ext, Autograd, m) { m.impl("batch_norm", output_autograd); }

}  // namespace
}  // namespace namegen::ops::batch_norm
