// torch.ops.namegen_ext.embedding_concat_linear_batch_norm: schema, checks, CPU and fake kernels, autograd and
// autocast.
//
// Its kernels compute float32 and float64 where symbols repeat. Everything else, lower precision and CUDA included, is
// computed by the two operators that it is made of, embedding_concat_linear and batch_norm; the backward pass then
// forms z = concat_t(C[token_t]) @ W^T + b again, since the operator keeps no z.
#include <ATen/autocast_mode.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>

#include "kernels/cpu/cpu_kernels.h"
#include "ops/autograd.h"
#include "ops/batch_norm.h"
#include "ops/embedding_concat_linear.h"
#include "ops/embedding_concat_linear_batch_norm.h"
#include "ops/products.h"

namespace namegen::ops::embedding_concat_linear_batch_norm {
namespace {

using batch_norm::Triple;
// Of embedding_weight, linear_weight, linear_bias, weight and bias.
using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;
using Mask = std::array<bool, 5>;

TORCH_LIBRARY_FRAGMENT(namegen_ext, m) {
  m.def(
      "embedding_concat_linear_batch_norm(Tensor tokens, Tensor embedding_weight, Tensor linear_weight, "
      "Tensor? linear_bias, Tensor(a!)? running_mean, Tensor(b!)? running_var, Tensor? weight, Tensor? bias, "
      "bool training, float momentum, float eps, str activation='none') -> Tensor",
      {at::Tag::pt2_compliant_tag});
  // The output with what it was normalised with: mean (H) and invstd (H), in the compute dtype.
  m.def(
      "embedding_concat_linear_batch_norm_forward(Tensor tokens, Tensor embedding_weight, Tensor linear_weight, "
      "Tensor? linear_bias, Tensor(a!)? running_mean, Tensor(b!)? running_var, Tensor? weight, Tensor? bias, "
      "bool training, float momentum, float eps, str activation) -> (Tensor, Tensor, Tensor)",
      {at::Tag::pt2_compliant_tag});
  // output_mask: which of the gradients of embedding_weight, linear_weight, linear_bias, weight and bias are wanted.
  m.def(
      "embedding_concat_linear_batch_norm_backward(Tensor grad_output, Tensor tokens, Tensor embedding_weight, "
      "Tensor linear_weight, Tensor? linear_bias, Tensor? output, Tensor? weight, Tensor mean, Tensor invstd, "
      "bool training, str activation, bool[5] output_mask) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
      {at::Tag::pt2_compliant_tag});
}

// The arguments of the forward operators that have a gradient or a state.
struct Arguments {
  const Tensor& tokens;
  const Tensor& embedding_weight;
  const Tensor& linear_weight;
  const optional<Tensor>& linear_bias;
  const optional<Tensor>& running_mean;
  const optional<Tensor>& running_var;
  const optional<Tensor>& weight;
  const optional<Tensor>& bias;
};

// ---- checks ---------------------------------------------------------------------------------------------------------

constexpr const char* kNormalised = "the linear layer's result";

void check(const Arguments& a, bool training, double eps) {
  embedding_concat_linear::check(a.tokens, a.embedding_weight, a.linear_weight, a.linear_bias);
  TORCH_CHECK(a.tokens.dim() >= 2, "tokens must have at least two dimensions, (..., block_size), but got ",
              describe("tokens", a.tokens));
  batch_norm::check_parameters(a.linear_weight.sym_size(0), a.embedding_weight.scalar_type(),
                               a.embedding_weight.device(), kNormalised, a.running_mean, a.running_var, a.weight,
                               a.bias, training, eps);
  if (!training) return;
  c10::SymInt rows = 1;
  for (int64_t d = 0; d < a.tokens.dim() - 1; ++d) rows *= a.tokens.sym_size(d);
  TORCH_CHECK_VALUE(rows != 1, "tokens must hold more than one context in training, but got ",
                    describe("tokens", a.tokens));
}

void check_gradient(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                    const Tensor& linear_weight, const optional<Tensor>& linear_bias, const optional<Tensor>& output,
                    const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, Activation activation) {
  embedding_concat_linear::check(tokens, embedding_weight, linear_weight, linear_bias);
  embedding_concat_linear::check_gradient(grad_output, tokens, embedding_weight, linear_weight, output, activation);
  TORCH_CHECK(mean.defined(), "mean must be given, but is None");
  TORCH_CHECK(invstd.defined(), "invstd must be given, but is None");
  batch_norm::check_parameters(linear_weight.sym_size(0), embedding_weight.scalar_type(), embedding_weight.device(),
                               kNormalised, mean, invstd, weight, std::nullopt, /*training=*/false, /*eps=*/0);
}

at::ScalarType parameter_type(const optional<Tensor>& weight, const Tensor& embedding_weight) {
  return given(weight) ? weight->scalar_type() : compute_type(embedding_weight.scalar_type());
}

// ---- fake kernels: shapes alone -------------------------------------------------------------------------------------

Tensor output_like(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight) {
  auto shape = tokens.sym_sizes().vec();
  shape.back() = linear_weight.sym_size(0);
  return at::empty_symint(shape, embedding_weight.options());
}

Triple forward_meta(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                    const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
                    const optional<Tensor>& running_var, const optional<Tensor>& weight, const optional<Tensor>& bias,
                    bool training, double, double eps, c10::string_view activation) {
  parse_activation(activation);
  check({tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var, weight, bias}, training, eps);
  const auto statistics = embedding_weight.options().dtype(compute_type(embedding_weight.scalar_type()));
  const auto channels = linear_weight.sym_size(0);
  return {output_like(tokens, embedding_weight, linear_weight), at::empty_symint({channels}, statistics),
          at::empty_symint({channels}, statistics)};
}

Tensor output_meta(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                   const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
                   const optional<Tensor>& running_var, const optional<Tensor>& weight, const optional<Tensor>& bias,
                   bool training, double momentum, double eps, c10::string_view activation) {
  return std::get<0>(forward_meta(tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var,
                                  weight, bias, training, momentum, eps, activation));
}

Gradients backward_meta(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                        const Tensor& linear_weight, const optional<Tensor>& linear_bias,
                        const optional<Tensor>& output, const optional<Tensor>& weight, const Tensor& mean,
                        const Tensor& invstd, bool, c10::string_view activation, Mask output_mask) {
  check_gradient(grad_output, tokens, embedding_weight, linear_weight, linear_bias, output, weight, mean, invstd,
                 parse_activation(activation));
  const auto options = embedding_weight.options();
  const auto parameters = options.dtype(parameter_type(weight, embedding_weight));
  const auto channels = linear_weight.sym_size(0);
  return {output_mask[0] ? at::empty_symint(embedding_weight.sym_sizes(), options) : Tensor(),
          output_mask[1] ? at::empty_symint(linear_weight.sym_sizes(), options) : Tensor(),
          output_mask[2] ? at::empty_symint({channels}, options) : Tensor(),
          output_mask[3] ? at::empty_symint({channels}, parameters) : Tensor(),
          output_mask[4] ? at::empty_symint({channels}, parameters) : Tensor()};
}

// ---- by the two operators -------------------------------------------------------------------------------------------

Triple forward_by_two(const Arguments& a, bool training, double momentum, double eps, c10::string_view activation) {
  const AsKernel as_kernel;
  const Tensor z = embedding_concat_linear::call(a.tokens, a.embedding_weight, a.linear_weight, a.linear_bias, "none");
  return batch_norm::call_forward(z, a.running_mean, a.running_var, a.weight, a.bias, training, momentum, eps,
                                  activation);
}

Gradients backward_by_two(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                          const Tensor& linear_weight, const optional<Tensor>& linear_bias,
                          const optional<Tensor>& output, const optional<Tensor>& weight, const Tensor& mean,
                          const Tensor& invstd, bool training, c10::string_view activation, Mask output_mask) {
  const AsKernel as_kernel;
  const bool wants_dz = output_mask[0] || output_mask[1] || output_mask[2];
  Triple of_batch_norm;
  {
    const Tensor z =  // freed before the weights' gradients are formed
        embedding_concat_linear::call(tokens, embedding_weight, linear_weight, linear_bias, "none");
    of_batch_norm = batch_norm::call_backward(grad_output, z, output, weight, mean, invstd, training, activation,
                                              {wants_dz, output_mask[3], output_mask[4]});
  }
  const auto& [dz, grad_weight, grad_bias] = of_batch_norm;
  embedding_concat_linear::Gradients grads;
  if (wants_dz) {
    grads = embedding_concat_linear::call_backward(dz, tokens, embedding_weight, linear_weight, std::nullopt, "none",
                                                   {output_mask[0], output_mask[1], output_mask[2]});
  }
  return {std::get<0>(grads), std::get<1>(grads), std::get<2>(grads), grad_weight, grad_bias};
}

Triple forward_two(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                   const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
                   const optional<Tensor>& running_var, const optional<Tensor>& weight, const optional<Tensor>& bias,
                   bool training, double momentum, double eps, c10::string_view activation) {
  const Arguments a{tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var, weight, bias};
  check(a, training, eps);
  return forward_by_two(a, training, momentum, eps, activation);
}

Tensor output_two(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                  const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
                  const optional<Tensor>& running_var, const optional<Tensor>& weight, const optional<Tensor>& bias,
                  bool training, double momentum, double eps, c10::string_view activation) {
  return std::get<0>(forward_two(tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var,
                                 weight, bias, training, momentum, eps, activation));
}

// ---- CPU ------------------------------------------------------------------------------------------------------------

bool takes_kernel(const EmbeddingConcatLinearShape& shape, const Tensor& embedding_weight) {
  const auto type = embedding_weight.scalar_type();
  return compute_type(type) == type &&
         cpu::takes_embedding_concat_linear_batch_norm(shape, embedding_weight.element_size());
}

// The bytes that the unfused layers hold at their peak besides the result: the concatenated embeddings, z, and with an
// activation one more output; in the backward pass as much again of gradients.
int64_t allowance(const EmbeddingConcatLinearShape& s, const Tensor& embedding_weight) {
  return s.batch * (s.block * s.embed + 2 * s.hidden) * embedding_weight.element_size();
}

// Where `keeps` is false, mean and invstd may be undefined.
Triple kernel_forward(const EmbeddingConcatLinearShape& shape, const Arguments& a, bool training, double momentum,
                      double eps, Activation activation, bool keeps) {
  const auto type = a.embedding_weight.scalar_type();
  const auto options = a.embedding_weight.options();
  TorchContext context(allowance(shape, a.embedding_weight));
  const auto in_type = [&](const optional<Tensor>& tensor) {
    return given(tensor) ? contiguous_in(*tensor, type, context) : Tensor();
  };
  const Tensor embedding = in_type(a.embedding_weight), linear = in_type(a.linear_weight);
  const Tensor linear_bias = in_type(a.linear_bias), weight = in_type(a.weight), bias = in_type(a.bias);
  const Tensor moving_mean = in_type(a.running_mean), moving_var = in_type(a.running_var);
  const auto statistic = [&] {
    return keeps ? at::empty({shape.hidden}, options) : context.scratch_tensor({shape.hidden}, type);
  };
  const Tensor mean = training || keeps ? statistic() : moving_mean, invstd = statistic();
  if (!training) {
    if (keeps) mean.copy_(moving_mean);
    batch_norm::inverse_deviations(moving_var, eps, invstd);
  }
  Tensor output = empty_output({shape.batch, shape.hidden}, options);  // (N, H)
  const cpu::EmbeddingConcatLinearBatchNormForward params{
      shape,
      embedding_concat_linear::checked_tokens(a.tokens, shape.vocab, context),
      embedding.const_data_ptr(),
      linear.const_data_ptr(),
      mutable_or_null(linear_bias),
      output.mutable_data_ptr(),
      mutable_or_null(weight),
      mutable_or_null(bias),
      mean.data_ptr(),
      invstd.mutable_data_ptr(),
      training ? mutable_or_null(moving_mean) : nullptr,
      training ? mutable_or_null(moving_var) : nullptr,
      training,
      momentum,
      eps,
      activation};
  const int index = static_cast<int>(data_type(type, "embedding_weight"));
  cpu::kernels().embedding_concat_linear_batch_norm_forward[index](params, context);
  if (training) {
    const auto write_back = [](const optional<Tensor>& statistics, const Tensor& moved) {
      if (!given(statistics)) return;
      if (!moved.is_same(*statistics)) Tensor(*statistics).copy_(moved);
      batch_norm::note_change(statistics);
    };
    write_back(a.running_mean, moving_mean);
    write_back(a.running_var, moving_var);
  }
  return {output, mean, invstd};
}

Triple forward_of(const Arguments& a, bool training, double momentum, double eps, c10::string_view activation,
                  bool keeps) {
  const Activation act = parse_activation(activation);
  check(a, training, eps);
  const auto shape = embedding_concat_linear::shape_of(a.tokens, a.embedding_weight, a.linear_weight);
  if (!takes_kernel(shape, a.embedding_weight)) return forward_by_two(a, training, momentum, eps, activation);
  const AsKernel as_kernel;
  Triple result;
  try {
    result = kernel_forward(shape, a, training, momentum, eps, act, keeps);
  } catch (const TorchContext::OutOfRoom&) {
    return forward_by_two(a, training, momentum, eps, activation);
  }
  if (a.tokens.dim() != 2) {
    auto sizes = a.tokens.sizes().vec();
    sizes.back() = shape.hidden;
    std::get<0>(result) = std::get<0>(result).view(sizes);  // (..., H)
  }
  return result;
}

Triple forward_cpu(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                   const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
                   const optional<Tensor>& running_var, const optional<Tensor>& weight, const optional<Tensor>& bias,
                   bool training, double momentum, double eps, c10::string_view activation) {
  return forward_of({tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var, weight, bias},
                    training, momentum, eps, activation, /*keeps=*/true);
}

Tensor output_cpu(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                  const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
                  const optional<Tensor>& running_var, const optional<Tensor>& weight, const optional<Tensor>& bias,
                  bool training, double momentum, double eps, c10::string_view activation) {
  return std::get<0>(
      forward_of({tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var, weight, bias},
                 training, momentum, eps, activation, /*keeps=*/false));
}

Gradients kernel_backward(const EmbeddingConcatLinearShape& shape, const Tensor& grad_output, const Tensor& tokens,
                          const Tensor& embedding_weight, const Tensor& linear_weight,
                          const optional<Tensor>& linear_bias, const optional<Tensor>& output,
                          const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, bool training,
                          Activation activation, Mask output_mask) {
  const auto type = embedding_weight.scalar_type();
  const auto options = embedding_weight.options();
  const auto gradient = [&](bool wanted, at::IntArrayRef sizes) {
    return wanted ? at::empty(sizes, options) : Tensor();
  };
  const Tensor grad_embedding = gradient(output_mask[0], embedding_weight.sizes());  // (V, E)
  const Tensor grad_linear = gradient(output_mask[1], linear_weight.sizes());        // (H, T*E)
  const Tensor grad_linear_bias = gradient(output_mask[2], {shape.hidden});          // (H)
  const Tensor grad_weight = gradient(output_mask[3], {shape.hidden});               // (H)
  const Tensor grad_bias = gradient(output_mask[4], {shape.hidden});                 // (H)
  TorchContext context(allowance(shape, embedding_weight));
  const auto in_type = [&](const optional<Tensor>& tensor) {
    return given(tensor) ? contiguous_in(*tensor, type, context) : Tensor();
  };
  const Tensor embedding = in_type(embedding_weight), linear = in_type(linear_weight), bias = in_type(linear_bias);
  const Tensor dy = in_type(grad_output), y = activation == Activation::kTanh ? in_type(output) : Tensor();
  const Tensor gamma = in_type(weight), used_mean = in_type(mean), used_invstd = in_type(invstd);
  const cpu::EmbeddingConcatLinearBatchNormBackward params{
      shape,
      embedding_concat_linear::checked_tokens(tokens, shape.vocab, context),
      embedding.const_data_ptr(),
      linear.const_data_ptr(),
      mutable_or_null(bias),
      y.defined() ? y.const_data_ptr() : nullptr,
      dy.const_data_ptr(),
      mutable_or_null(gamma),
      used_mean.const_data_ptr(),
      used_invstd.const_data_ptr(),
      mutable_or_null(grad_embedding),
      mutable_or_null(grad_linear),
      mutable_or_null(grad_linear_bias),
      mutable_or_null(grad_weight),
      mutable_or_null(grad_bias),
      training,
      activation};
  const int index = static_cast<int>(data_type(type, "embedding_weight"));
  cpu::kernels().embedding_concat_linear_batch_norm_backward[index](params, context);
  return {grad_embedding, grad_linear, grad_linear_bias, grad_weight, grad_bias};
}

Gradients backward_two(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                       const Tensor& linear_weight, const optional<Tensor>& linear_bias, const optional<Tensor>& output,
                       const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, bool training,
                       c10::string_view activation, Mask output_mask) {
  check_gradient(grad_output, tokens, embedding_weight, linear_weight, linear_bias, output, weight, mean, invstd,
                 parse_activation(activation));
  return backward_by_two(grad_output, tokens, embedding_weight, linear_weight, linear_bias, output, weight, mean,
                         invstd, training, activation, output_mask);
}

Gradients backward_cpu(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                       const Tensor& linear_weight, const optional<Tensor>& linear_bias, const optional<Tensor>& output,
                       const optional<Tensor>& weight, const Tensor& mean, const Tensor& invstd, bool training,
                       c10::string_view activation, Mask output_mask) {
  const Activation act = parse_activation(activation);
  const auto shape = embedding_concat_linear::shape_of(tokens, embedding_weight, linear_weight);
  if (takes_kernel(shape, embedding_weight)) {
    check_gradient(grad_output, tokens, embedding_weight, linear_weight, linear_bias, output, weight, mean, invstd,
                   act);
    const AsKernel as_kernel;
    try {
      return kernel_backward(shape, grad_output, tokens, embedding_weight, linear_weight, linear_bias, output, weight,
                             mean, invstd, training, act, output_mask);
    } catch (const TorchContext::OutOfRoom&) {
      // the two operators have ways that take less memory
    }
  }
  return backward_two(grad_output, tokens, embedding_weight, linear_weight, linear_bias, output, weight, mean, invstd,
                      training, activation, output_mask);
}

}  // namespace

Tensor call(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
            const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
            const optional<Tensor>& running_var, const optional<Tensor>& weight, const optional<Tensor>& bias,
            bool training, double momentum, double eps, std::string_view activation) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("namegen_ext::embedding_concat_linear_batch_norm", "")
                             .typed<decltype(output_cpu)>();
  return op.call(tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var, weight, bias,
                 training, momentum, eps, activation);
}

namespace {

// ---- autograd -------------------------------------------------------------------------------------------------------

Triple call_forward(const Arguments& a, bool training, double momentum, double eps, c10::string_view activation) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("namegen_ext::embedding_concat_linear_batch_norm_forward", "")
                             .typed<decltype(forward_cpu)>();
  return op.call(a.tokens, a.embedding_weight, a.linear_weight, a.linear_bias, a.running_mean, a.running_var, a.weight,
                 a.bias, training, momentum, eps, activation);
}

Gradients call_backward(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                        const Tensor& linear_weight, const optional<Tensor>& linear_bias,
                        const optional<Tensor>& output, const optional<Tensor>& weight, const Tensor& mean,
                        const Tensor& invstd, bool training, c10::string_view activation, Mask output_mask) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("namegen_ext::embedding_concat_linear_batch_norm_backward", "")
                             .typed<decltype(backward_cpu)>();
  return op.call(grad_output, tokens, embedding_weight, linear_weight, linear_bias, output, weight, mean, invstd,
                 training, activation, output_mask);
}

// The same gradients by torch's own differentiable operators, for create_graph=True. z is formed again, since it
// depends on the weights.
Gradients differentiable_backward(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                                  const Tensor& linear_weight, const Tensor& linear_bias, const Tensor& output,
                                  const Tensor& weight, const Tensor& mean, const Tensor& invstd, bool training,
                                  double eps, const Mask& output_mask) {
  const Tensor indices = tokens.to(at::kLong).flatten();                    // (N*T)
  const Tensor x = embedding_weight.index_select(0, indices);               // (N*T, E)
  Tensor z = x.reshape({-1, linear_weight.size(1)}).mm(linear_weight.t());  // (N, H)
  if (linear_bias.defined()) z = z + linear_bias;
  const auto [dz, grad_weight, grad_bias] = batch_norm::differentiable_backward(
      grad_output, z.reshape(grad_output.sizes()), output, weight, mean, invstd, training, eps);
  const auto [grad_embedding, grad_linear, grad_linear_bias] = embedding_concat_linear::differentiable_backward(
      dz, tokens, embedding_weight, linear_weight, Tensor(), false, {output_mask[0], output_mask[1], output_mask[2]});
  return {grad_embedding, grad_linear, grad_linear_bias, grad_weight, grad_bias};
}

struct EmbeddingConcatLinearBatchNorm {
  static constexpr const char* kName = "NamegenExtEmbeddingConcatLinearBatchNormBackward";
  static constexpr size_t kInputs = 5;  // embedding_weight, linear_weight, linear_bias, weight, bias
  static constexpr size_t kSaved = 8;
  using Options = std::tuple<bool, double>;  // training, eps

  static variable_list backward(const Tensor& grad_output, const std::array<Tensor, kSaved>& saved,
                                const Options& options, const std::array<bool, kInputs>& wanted) {
    // output is undefined without tanh
    const auto& [tokens, embedding_weight, linear_weight, linear_bias, weight, output, mean, invstd] = saved;
    const auto [training, eps] = options;
    Gradients grads;
    if (at::GradMode::is_enabled()) {
      grads = differentiable_backward(grad_output, tokens, embedding_weight, linear_weight, linear_bias, output, weight,
                                      mean, invstd, training, eps, wanted);
    } else {
      const auto maybe = [](const Tensor& t) { return t.defined() ? optional<Tensor>(t) : std::nullopt; };
      grads = call_backward(grad_output, tokens, embedding_weight, linear_weight, maybe(linear_bias), maybe(output),
                            maybe(weight), mean, invstd, training, output.defined() ? "tanh" : "none", wanted);
    }
    const auto& [grad_embedding, grad_linear, grad_linear_bias, grad_weight, grad_bias] = grads;
    return {grad_embedding, grad_linear, grad_linear_bias, wanted[3] ? grad_weight : Tensor(),
            wanted[4] ? grad_bias : Tensor()};
  }
};

Tensor output_autograd(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                       const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
                       const optional<Tensor>& running_var, const optional<Tensor>& weight,
                       const optional<Tensor>& bias, bool training, double momentum, double eps,
                       c10::string_view activation) {
  const bool recorded =
      needs_gradient("embedding_concat_linear_batch_norm", embedding_weight, linear_weight, linear_bias, weight, bias);
  if (!recorded) {
    const at::AutoDispatchBelowADInplaceOrView below;
    return call(tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var, weight, bias, training,
                momentum, eps, activation);
  }
  Triple result;
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    result =
        call_forward({tokens, embedding_weight, linear_weight, linear_bias, running_mean, running_var, weight, bias},
                     training, momentum, eps, activation);
  }
  const auto& [output, mean, invstd] = result;
  const bool tanh = parse_activation(activation) == Activation::kTanh;
  const auto kept = [](const optional<Tensor>& tensor) { return given(tensor) ? *tensor : Tensor(); };
  record<EmbeddingConcatLinearBatchNorm>(output, embedding_weight, linear_weight, linear_bias, weight, bias)
      ->save({tokens, embedding_weight, linear_weight, kept(linear_bias), kept(weight), tanh ? output : Tensor(), mean,
              invstd},
             5, {training, eps});
  return output;
}

// ---- autocast: the weights of the linear layer in the lower precision, batch norm's as they are
// ----------------------

template <at::DeviceType Device, c10::DispatchKey Key>
Tensor output_autocast(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                       const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
                       const optional<Tensor>& running_var, const optional<Tensor>& weight,
                       const optional<Tensor>& bias, bool training, double momentum, double eps,
                       c10::string_view activation) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(Key);
  const auto type = at::autocast::get_autocast_dtype(Device);
  return call(tokens, at::autocast::cached_cast(type, embedding_weight, Device),
              at::autocast::cached_cast(type, linear_weight, Device),
              at::autocast::cached_cast(type, linear_bias, Device), running_mean, running_var, weight, bias, training,
              momentum, eps, activation);
}

TORCH_LIBRARY_IMPL(namegen_ext, CPU, m) {
  m.impl("embedding_concat_linear_batch_norm", output_cpu);
  m.impl("embedding_concat_linear_batch_norm_forward", forward_cpu);
  m.impl("embedding_concat_linear_batch_norm_backward", backward_cpu);
}
TORCH_LIBRARY_IMPL(namegen_ext, CUDA, m) {
  m.impl("embedding_concat_linear_batch_norm", output_two);
  m.impl("embedding_concat_linear_batch_norm_forward", forward_two);
  m.impl("embedding_concat_linear_batch_norm_backward", backward_two);
}
TORCH_LIBRARY_IMPL(namegen_ext, Meta, m) {
  m.impl("embedding_concat_linear_batch_norm", output_meta);
  m.impl("embedding_concat_linear_batch_norm_forward", forward_meta);
  m.impl("embedding_concat_linear_batch_norm_backward", backward_meta);
}
TORCH_LIBRARY_IMPL(namegen_ext, Autograd, m) { m.impl("embedding_concat_linear_batch_norm", output_autograd); }
TORCH_LIBRARY_IMPL(namegen_ext, AutocastCPU, m) {
  m.impl("embedding_concat_linear_batch_norm", output_autocast<at::kCPU, c10::DispatchKey::AutocastCPU>);
}
TORCH_LIBRARY_IMPL(namegen_ext, AutocastCUDA, m) {
  m.impl("embedding_concat_linear_batch_norm", output_autocast<at::kCUDA, c10::DispatchKey::AutocastCUDA>);
}

}  // namespace
}  // namespace namegen::ops::embedding_concat_linear_batch_norm
