// torch.ops.namegen_ext.linear: schema, checks, CPU and fake kernels, autograd and autocast. The kernels are for
// float32 and float64 on the CPU, where on some CPUs torch's products reach two fifths of the machine's rate. For all
// else it is torch's own product.
#include <ATen/autocast_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "kernels/cpu/cpu_kernels.h"
#include "ops/autograd.h"
#include "ops/linear.h"
#include "ops/products.h"

namespace namegen::ops::linear {
namespace {

using Gradients = std::tuple<Tensor, Tensor, Tensor>;

TORCH_LIBRARY_FRAGMENT(namegen_ext, m) {
  m.def("linear(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor", {at::Tag::pt2_compliant_tag});
  // output_mask: which of the gradients of x, weight and bias are wanted.
  m.def("linear_backward(Tensor grad_output, Tensor x, Tensor weight, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
        {at::Tag::pt2_compliant_tag});
}

// ---- checks ---------------------------------------------------------------------------------------------------------

void check_like_x(const char* argument, const Tensor& tensor, const Tensor& x) {
  TORCH_CHECK(tensor.scalar_type() == x.scalar_type(), argument, " must have the dtype of x, ", x.scalar_type(),
              ", but has ", tensor.scalar_type());
  TORCH_CHECK(tensor.device() == x.device(), argument, " must be on the device of x, ", x.device(), ", but is on ",
              tensor.device());
}

void check(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias) {
  data_type(x.scalar_type(), "x");
  TORCH_CHECK(x.dim() >= 1, "x must have at least one dimension, (..., in_features), but has none");
  TORCH_CHECK(weight.dim() == 2, "weight must be (out_features, in_features), but got ", describe("weight", weight));
  TORCH_CHECK(x.sym_size(-1) == weight.sym_size(1), "x must have in_features = ", weight.sym_size(1),
              " as its last dimension, but got ", describe("x", x));
  check_like_x("weight", weight, x);
  if (!given(bias)) return;
  TORCH_CHECK(bias->dim() == 1 && bias->sym_size(0) == weight.sym_size(0), "bias must be (out_features,) = (",
              weight.sym_size(0), ",), but got ", describe("bias", *bias));
  check_like_x("bias", *bias, x);
}

void check_gradient(const Tensor& grad_output, const Tensor& x, const Tensor& weight) {
  check(x, weight, std::nullopt);
  auto sizes = x.sym_sizes().vec();
  sizes.back() = weight.sym_size(0);
  TORCH_CHECK(grad_output.sym_sizes() == at::SymIntArrayRef(sizes), "grad_output must have the shape of the output, ",
              at::SymIntArrayRef(sizes), ", but got ", describe("grad_output", grad_output));
  check_like_x("grad_output", grad_output, x);
}

// ---- fake kernels: shapes alone -------------------------------------------------------------------------------------

Tensor forward_meta(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias) {
  check(x, weight, bias);
  auto sizes = x.sym_sizes().vec();
  sizes.back() = weight.sym_size(0);
  return at::empty_symint(sizes, x.options());
}

Gradients backward_meta(const Tensor& grad_output, const Tensor& x, const Tensor& weight,
                        std::array<bool, 3> output_mask) {
  check_gradient(grad_output, x, weight);
  return {output_mask[0] ? at::empty_symint(x.sym_sizes(), x.options()) : Tensor(),
          output_mask[1] ? at::empty_symint(weight.sym_sizes(), weight.options()) : Tensor(),
          output_mask[2] ? at::empty_symint({weight.sym_size(0)}, weight.options()) : Tensor()};
}

// ---- by torch: where there is no kernel, and for create_graph=True --------------------------------------------------

Tensor forward_torch(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias) {
  check(x, weight, bias);
  return at::linear(x, weight, bias);
}

// The three gradients. multiply(a, b) is a product of matrices, and sum_rows(d) gives the sums of d's columns.
template <class Multiply, class SumRows>
Gradients backward_by(const Multiply& multiply, const SumRows& sum_rows, const Tensor& grad_output, const Tensor& x,
                      const Tensor& weight, std::array<bool, 3> output_mask) {
  c10::SymInt rows = 1;
  for (int64_t d = 0; d < x.dim() - 1; ++d) rows *= x.sym_size(d);
  const Tensor dy = grad_output.reshape_symint({rows, weight.sym_size(0)});  // (N, H)
  Gradients result;
  if (output_mask[0]) std::get<0>(result) = multiply(dy, weight).reshape_symint(x.sym_sizes());  // (..., K)
  if (output_mask[1]) {
    std::get<1>(result) = multiply(dy.t(), x.reshape_symint({rows, weight.sym_size(1)}));  // (H, K)
  }
  if (output_mask[2]) std::get<2>(result) = sum_rows(dy);  // (H)
  return result;
}

Gradients backward_torch(const Tensor& grad_output, const Tensor& x, const Tensor& weight,
                         std::array<bool, 3> output_mask) {
  check_gradient(grad_output, x, weight);
  const auto multiply = [](const Tensor& a, const Tensor& b) { return a.mm(b); };
  return backward_by(multiply, [](const Tensor& d) { return d.sum(0); }, grad_output, x, weight, output_mask);
}

// ---- CPU ------------------------------------------------------------------------------------------------------------

bool has_kernel(const Tensor& x) { return x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble; }

// The bytes of the copy that torch's product makes of a tensor. It makes none of a matrix whose rows, or whose columns,
// are contiguous.
int64_t torch_copies(const Tensor& tensor) {
  const auto lies = [&](int64_t along, int64_t across) {
    return tensor.stride(along) == 1 && tensor.stride(across) >= std::max<int64_t>(tensor.size(along), 1);
  };
  const bool as_it_lies = tensor.is_contiguous() || (tensor.dim() == 2 && (lies(1, 0) || lies(0, 1)));
  return as_it_lies ? 0 : int64_t(tensor.numel() * tensor.element_size());
}

Tensor forward_cpu(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias) {
  check(x, weight, bias);
  if (!has_kernel(x)) return at::linear(x, weight, bias);
  const auto type = x.scalar_type();
  c10::SmallVector<int64_t, 5> sizes(x.sizes().begin(), x.sizes().end());
  sizes.back() = weight.size(0);
  try {
    TorchContext context(torch_copies(x));
    const Tensor input = contiguous_in(x, type, context), w = contiguous_in(weight, type, context);
    const auto b = parameter(bias, type);
    Tensor output = empty_output(sizes, x.options());  // (..., H)
    const cpu::LinearForward params{
        rows_of(x),         weight.size(1),  weight.size(0),           input.const_data_ptr(),
        w.const_data_ptr(), data_or_null(b), output.mutable_data_ptr()};
    cpu::kernels().linear_forward[static_cast<int>(data_type(type, "x"))](params, context);
    return output;
  } catch (const TorchContext::OutOfRoom&) {  // for copies of large transposed arguments, which torch needs none of
    return product(x.reshape({rows_of(x), x.size(-1)}), weight.t(), bias).view(sizes);
  }
}

Gradients kernel_backward(const Tensor& grad_output, const Tensor& x, const Tensor& weight,
                          std::array<bool, 3> output_mask) {
  const auto type = x.scalar_type();
  TorchContext context(std::max(torch_copies(x), torch_copies(grad_output)));
  const Tensor input = contiguous_in(x, type, context), w = contiguous_in(weight, type, context);
  const Tensor dy = contiguous_in(grad_output, type, context);
  Tensor grad_x, grad_weight, grad_bias;
  if (output_mask[0]) grad_x = empty_output(x.sizes(), x.options());         // (..., K)
  if (output_mask[1]) grad_weight = empty_output(w.sizes(), x.options());    // (H, K)
  if (output_mask[2]) grad_bias = at::empty({weight.size(0)}, x.options());  // (H)
  const cpu::LinearBackward params{rows_of(x),
                                   weight.size(1),
                                   weight.size(0),
                                   input.const_data_ptr(),
                                   w.const_data_ptr(),
                                   dy.const_data_ptr(),
                                   mutable_or_null(grad_x),
                                   mutable_or_null(grad_weight),
                                   mutable_or_null(grad_bias)};
  cpu::kernels().linear_backward[static_cast<int>(data_type(type, "x"))](params, context);
  return {grad_x, grad_weight, grad_bias};
}

Gradients backward_cpu(const Tensor& grad_output, const Tensor& x, const Tensor& weight,
                       std::array<bool, 3> output_mask) {
  if (!has_kernel(x)) return backward_torch(grad_output, x, weight, output_mask);
  check_gradient(grad_output, x, weight);
  try {
    return kernel_backward(grad_output, x, weight, output_mask);
  } catch (const TorchContext::OutOfRoom&) {
    const AsKernel as_kernel;
    const auto multiply = [](const Tensor& a, const Tensor& b) { return product(a, b); };
    return backward_by(multiply, sum_of_rows, grad_output, x, weight, output_mask);
  }
}

}  // namespace

Tensor call(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("namegen_ext::linear", "").typed<decltype(forward_cpu)>();
  return op.call(x, weight, bias);
}

namespace {

// ---- autograd -------------------------------------------------------------------------------------------------------

Gradients call_backward(const Tensor& grad_output, const Tensor& x, const Tensor& weight,
                        std::array<bool, 3> output_mask) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("namegen_ext::linear_backward", "")
                             .typed<decltype(backward_cpu)>();
  return op.call(grad_output, x, weight, output_mask);
}

struct Linear {
  static constexpr const char* kName = "NamegenExtLinearBackward";
  static constexpr size_t kInputs = 3;  // x, weight, bias
  static constexpr size_t kSaved = 2;
  using Options = std::tuple<>;

  static variable_list backward(const Tensor& grad_output, const std::array<Tensor, kSaved>& saved, const Options&,
                                const std::array<bool, kInputs>& wanted) {
    const auto& [x, weight] = saved;
    const auto [grad_x, grad_weight, grad_bias] = at::GradMode::is_enabled()
                                                      ? backward_torch(grad_output, x, weight, wanted)
                                                      : call_backward(grad_output, x, weight, wanted);
    return {grad_x, grad_weight, grad_bias};
  }
};

Tensor forward_autograd(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias) {
  const bool recorded = needs_gradient("linear", x, weight, bias);
  Tensor output;
  {
    at::AutoDispatchBelowADInplaceOrView below;
    output = call(x, weight, bias);
  }
  if (recorded) record<Linear>(output, x, weight, bias)->save({x, weight}, Linear::kSaved, {});
  return output;
}

// ---- autocast: in the lower precision, as nn.Linear -----------------------------------------------------------------

template <at::DeviceType Device, c10::DispatchKey Key>
Tensor forward_autocast(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(Key);
  const auto type = at::autocast::get_autocast_dtype(Device);
  return call(at::autocast::cached_cast(type, x, Device), at::autocast::cached_cast(type, weight, Device),
              at::autocast::cached_cast(type, bias, Device));
}

TORCH_LIBRARY_IMPL(namegen_ext, CPU, m) {
  m.impl("linear", forward_cpu);
  m.impl("linear_backward", backward_cpu);
}
TORCH_LIBRARY_IMPL(namegen_ext, CUDA, m) {
  m.impl("linear", forward_torch);
  m.impl("linear_backward", backward_torch);
}
TORCH_LIBRARY_IMPL(namegen_ext, Meta, m) {
  m.impl("linear", forward_meta);
  m.impl("linear_backward", backward_meta);
}
TORCH_LIBRARY_IMPL(namegen_ext, Autograd, m) { m.impl("linear", forward_autograd); }
TORCH_LIBRARY_IMPL(namegen_ext, AutocastCPU, m) {
  m.impl("linear", forward_autocast<at::kCPU, c10::DispatchKey::AutocastCPU>);
}
TORCH_LIBRARY_IMPL(namegen_ext, AutocastCUDA, m) {
  m.impl("linear", forward_autocast<at::kCUDA, c10::DispatchKey::AutocastCUDA>);
}

}  // namespace
}  // namespace namegen::ops::linear
