// torch.ops.namegen_ext.embedding_concat_linear: schema, checks, CPU and fake kernels, autograd and autocast. bfloat16
// and float16 on the CPU are in embedding_concat_linear_low.cpp, CUDA in ops/cuda/embedding_concat_linear.cpp.
#include <ATen/autocast_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>

#include "kernels/cpu/cpu_kernels.h"
#include "ops/autograd.h"
#include "ops/embedding_concat_linear.h"
#include "ops/products.h"

namespace namegen::ops::embedding_concat_linear {
namespace {

TORCH_LIBRARY_FRAGMENT(namegen_ext, m) {
  m.def(
      "embedding_concat_linear(Tensor tokens, Tensor embedding_weight, Tensor linear_weight, "
      "Tensor? linear_bias=None, str activation='tanh') -> Tensor",
      {at::Tag::pt2_compliant_tag});
  // output_mask: which of the gradients of embedding_weight, linear_weight and linear_bias are wanted.
  m.def(
      "embedding_concat_linear_backward(Tensor grad_output, Tensor tokens, Tensor embedding_weight, "
      "Tensor linear_weight, Tensor? output, str activation, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
      {at::Tag::pt2_compliant_tag});
}

// ---- checks ---------------------------------------------------------------------------------------------------------

void check_weight(const char* argument, const Tensor& weight, const Tensor& embedding_weight) {
  TORCH_CHECK(weight.scalar_type() == embedding_weight.scalar_type(), argument,
              " must have the dtype of embedding_weight, ", embedding_weight.scalar_type(), ", but has ",
              weight.scalar_type());
  TORCH_CHECK(weight.device() == embedding_weight.device(), argument, " must be on the device of embedding_weight, ",
              embedding_weight.device(), ", but is on ", weight.device());
}

}  // namespace

void check(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
           const optional<Tensor>& linear_bias) {
  const auto type = tokens.scalar_type();
  TORCH_CHECK(type == at::kLong || type == at::kInt || type == at::kByte,
              "tokens must be int64, int32 or uint8, but has dtype ", type);
  TORCH_CHECK(tokens.dim() >= 1, "tokens must have at least one dimension, (..., block_size), but has none");
  TORCH_CHECK(embedding_weight.dim() == 2, "embedding_weight must be (V, E), but got ",
              describe("embedding_weight", embedding_weight));
  TORCH_CHECK(linear_weight.dim() == 2, "linear_weight must be (H, block_size * E), but got ",
              describe("linear_weight", linear_weight));
  data_type(embedding_weight.scalar_type(), "embedding_weight");
  TORCH_CHECK(tokens.device() == embedding_weight.device(), "tokens must be on the device of embedding_weight, ",
              embedding_weight.device(), ", but is on ", tokens.device());
  check_weight("linear_weight", linear_weight, embedding_weight);
  const auto features = tokens.sym_size(-1) * embedding_weight.sym_size(1);
  TORCH_CHECK(linear_weight.sym_size(1) == features, "linear_weight must have block_size * E = ", tokens.sym_size(-1),
              " * ", embedding_weight.sym_size(1), " = ", features, " columns, but got ",
              describe("linear_weight", linear_weight));
  if (linear_bias.has_value() && linear_bias->defined()) {
    check_weight("linear_bias", *linear_bias, embedding_weight);
    TORCH_CHECK(linear_bias->dim() == 1 && linear_bias->sym_size(0) == linear_weight.sym_size(0),
                "linear_bias must be (H,) = (", linear_weight.sym_size(0), ",), but got ",
                describe("linear_bias", *linear_bias));
  }
}

void check_gradient(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                    const Tensor& linear_weight, const optional<Tensor>& output, Activation activation) {
  check(tokens, embedding_weight, linear_weight, std::nullopt);
  check_weight("grad_output", grad_output, embedding_weight);
  auto expected = tokens.sym_sizes().vec();
  expected.back() = linear_weight.sym_size(0);
  TORCH_CHECK(grad_output.sym_sizes() == c10::SymIntArrayRef(expected),
              "grad_output must be (..., H) = ", c10::SymIntArrayRef(expected), ", but got ",
              describe("grad_output", grad_output));
  if (activation == Activation::kNone) return;
  TORCH_CHECK(output.has_value() && output->defined(), "output must be given where activation is 'tanh'");
  check_weight("output", *output, embedding_weight);
  TORCH_CHECK(output->sym_sizes() == grad_output.sym_sizes(), "output must have the shape of grad_output, ",
              grad_output.sym_sizes(), ", but got ", describe("output", *output));
}

EmbeddingConcatLinearShape shape_of(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight) {
  const int64_t block = tokens.size(-1);
  int64_t batch = 1;
  for (int64_t d = 0; d < tokens.dim() - 1; ++d) batch *= tokens.size(d);
  return {batch, block, embedding_weight.size(0), embedding_weight.size(1), linear_weight.size(0)};
}

namespace {

// ---- fake kernels: shapes alone -------------------------------------------------------------------------------------

Tensor forward_meta(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                    const optional<Tensor>& linear_bias, c10::string_view activation) {
  parse_activation(activation);
  check(tokens, embedding_weight, linear_weight, linear_bias);
  auto shape = tokens.sym_sizes().vec();
  shape.back() = linear_weight.sym_size(0);
  return at::empty_symint(shape, embedding_weight.options());
}

Gradients backward_meta(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                        const Tensor& linear_weight, const optional<Tensor>& output, c10::string_view activation,
                        std::array<bool, 3> output_mask) {
  check_gradient(grad_output, tokens, embedding_weight, linear_weight, output, parse_activation(activation));
  const auto options = embedding_weight.options();
  return {output_mask[0] ? at::empty_symint(embedding_weight.sym_sizes(), options) : Tensor(),
          output_mask[1] ? at::empty_symint(linear_weight.sym_sizes(), options) : Tensor(),
          output_mask[2] ? at::empty_symint({linear_weight.sym_size(0)}, options) : Tensor()};
}

// ---- CPU ------------------------------------------------------------------------------------------------------------

// Calls take(i, token) for every token, in order. Raises IndexError for a token outside [0, V).
template <class Token, class Take>
void each_checked_token(const Tensor& tokens, int64_t vocab, const Take& take) {
  const Tensor contiguous = tokens.is_contiguous() ? tokens : tokens.contiguous();
  const Token* source = contiguous.const_data_ptr<Token>();
  const int64_t count = contiguous.numel();
  bool inside = true;
  for (int64_t i = 0; i < count; ++i) {
    inside &= static_cast<uint64_t>(source[i]) < static_cast<uint64_t>(vocab);
    take(i, source[i]);
  }
  if (inside) return;
  int64_t i = 0;
  while (static_cast<uint64_t>(source[i]) < static_cast<uint64_t>(vocab)) ++i;
  TORCH_CHECK_INDEX(false, "tokens: index out of range: element ", i, " is ", static_cast<int64_t>(source[i]),
                    ", expected 0 <= token < ", vocab, " (the rows of embedding_weight)");
}

template <class Take>
void each_checked_token_of_any_type(const Tensor& tokens, int64_t vocab, const Take& take) {
  TORCH_CHECK(vocab <= INT32_MAX, "embedding_weight must have fewer than 2^31 rows, but has ", vocab);
  switch (tokens.scalar_type()) {
    case at::kLong:
      return each_checked_token<int64_t>(tokens, vocab, take);
    case at::kInt:
      return each_checked_token<int32_t>(tokens, vocab, take);
    default:
      return each_checked_token<uint8_t>(tokens, vocab, take);
  }
}

}  // namespace

int32_t* checked_tokens(const Tensor& tokens, int64_t vocab, cpu::Context& context) {
  auto* result = static_cast<int32_t*>(context.scratch(std::max<int64_t>(tokens.numel(), 1) * sizeof(int32_t)));
  each_checked_token_of_any_type(tokens, vocab,
                                 [=](int64_t i, auto token) { result[i] = static_cast<int32_t>(token); });
  return result;
}

void check_range(const Tensor& tokens, int64_t vocab) {
  each_checked_token_of_any_type(tokens, vocab, [](int64_t, auto) {});
}

namespace {

// Both run a kernel in the dtype of the weights, which is float32 or float64.
Tensor kernel_forward(const EmbeddingConcatLinearShape& shape, const Tensor& tokens, const Tensor& embedding_weight,
                      const Tensor& linear_weight, const optional<Tensor>& linear_bias, Activation activation) {
  const auto type = embedding_weight.scalar_type();
  TorchContext context(forward_allowance(shape, activation, embedding_weight.element_size()));
  const Tensor embedding = contiguous_in(embedding_weight, type, context);
  const Tensor linear = contiguous_in(linear_weight, type, context);
  const auto bias = parameter(linear_bias, type);
  Tensor output = empty_output({shape.batch, shape.hidden}, embedding_weight.options());
  const cpu::EmbeddingConcatLinearForward params{shape,
                                                 checked_tokens(tokens, shape.vocab, context),
                                                 embedding.const_data_ptr(),
                                                 linear.const_data_ptr(),
                                                 data_or_null(bias),
                                                 output.mutable_data_ptr(),
                                                 shape.hidden,
                                                 activation,
                                                 cpu::Algorithm::kByCost};
  const int index = static_cast<int>(data_type(type, "embedding_weight"));
  cpu::kernels().embedding_concat_linear_forward[index](params, context);
  return output;
}

Tensor forward_cpu(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                   const optional<Tensor>& linear_bias, c10::string_view activation) {
  const Activation act = parse_activation(activation);
  check(tokens, embedding_weight, linear_weight, linear_bias);
  const auto type = embedding_weight.scalar_type();
  const auto shape = shape_of(tokens, embedding_weight, linear_weight);
  const auto forward = compute_type(type) == type ? kernel_forward : low_forward;
  Tensor output;  // (N, H)
  try {
    output = forward(shape, tokens, embedding_weight, linear_weight, linear_bias, act);
  } catch (const TorchContext::OutOfRoom&) {
    check_range(tokens, shape.vocab);
    output = plain_forward(shape, tokens, embedding_weight, linear_weight, parameter(linear_bias, type), act);
  }
  if (tokens.dim() == 2) return output;
  auto sizes = tokens.sizes().vec();
  sizes.back() = shape.hidden;
  return output.view(sizes);  // (..., H)
}

Gradients kernel_backward(const EmbeddingConcatLinearShape& shape, const Tensor& grad_output, const Tensor& tokens,
                          const Tensor& embedding_weight, const Tensor& linear_weight, const Tensor& output,
                          Activation activation, std::array<bool, 3> output_mask) {
  const auto type = embedding_weight.scalar_type();
  const BackwardPeak stock = backward_peak(shape, activation, output_mask, embedding_weight.element_size());
  Tensor grad_embedding, grad_linear, grad_bias;
  const auto options = embedding_weight.options();
  if (output_mask[0]) grad_embedding = empty_output(embedding_weight.sizes(), options);  // (V, E)
  if (output_mask[1]) grad_linear = empty_output(linear_weight.sizes(), options);        // (H, T*E)
  if (output_mask[2]) grad_bias = at::empty({shape.hidden}, options);                    // (H)
  TorchContext context(stock.peak - stock.linear - stock.bias - stock.embedding);
  const Tensor embedding = contiguous_in(embedding_weight, type, context);
  const Tensor linear = contiguous_in(linear_weight, type, context);
  const Tensor dy = contiguous_in(grad_output, type, context);
  const Tensor y = output.defined() ? contiguous_in(output, type, context) : Tensor();
  const cpu::EmbeddingConcatLinearBackward params{shape,
                                                  checked_tokens(tokens, shape.vocab, context),
                                                  embedding.const_data_ptr(),
                                                  linear.const_data_ptr(),
                                                  y.defined() ? y.const_data_ptr() : nullptr,
                                                  dy.const_data_ptr(),
                                                  shape.hidden,
                                                  mutable_or_null(grad_embedding),
                                                  mutable_or_null(grad_linear),
                                                  mutable_or_null(grad_bias),
                                                  activation,
                                                  cpu::Algorithm::kByCost};
  const int index = static_cast<int>(data_type(type, "embedding_weight"));
  cpu::kernels().embedding_concat_linear_backward[index](params, context);
  return {grad_embedding, grad_linear, grad_bias};
}

Gradients backward_cpu(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                       const Tensor& linear_weight, const optional<Tensor>& output, c10::string_view activation,
                       std::array<bool, 3> output_mask) {
  const Activation act = parse_activation(activation);
  check_gradient(grad_output, tokens, embedding_weight, linear_weight, output, act);
  const AsKernel as_kernel;  // this operator may be called by itself, and then no guard of autograd's is set
  const auto type = embedding_weight.scalar_type();
  const auto shape = shape_of(tokens, embedding_weight, linear_weight);
  const Tensor y = act == Activation::kTanh ? *output : Tensor();
  const auto backward = compute_type(type) == type ? kernel_backward : low_backward;
  try {
    return backward(shape, grad_output, tokens, embedding_weight, linear_weight, y, act, output_mask);
  } catch (const TorchContext::OutOfRoom&) {
    check_range(tokens, shape.vocab);
    return plain_backward(shape, grad_output, tokens, embedding_weight, linear_weight, y, output_mask);
  }
}

}  // namespace

Tensor call(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
            const optional<Tensor>& linear_bias, std::string_view activation) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("namegen_ext::embedding_concat_linear", "")
                             .typed<decltype(forward_cpu)>();
  return op.call(tokens, embedding_weight, linear_weight, linear_bias, activation);
}

// ---- autograd -------------------------------------------------------------------------------------------------------

Gradients call_backward(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                        const Tensor& linear_weight, const optional<Tensor>& output, c10::string_view activation,
                        std::array<bool, 3> output_mask) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("namegen_ext::embedding_concat_linear_backward", "")
                             .typed<decltype(backward_cpu)>();
  return op.call(grad_output, tokens, embedding_weight, linear_weight, output, activation, output_mask);
}

// The same gradients by torch's own differentiable operators, for create_graph=True. `output` is a saved result of this
// node, so 1 - y^2 depends on the inputs.
Gradients differentiable_backward(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                                  const Tensor& linear_weight, const Tensor& output, bool tanh,
                                  std::array<bool, 3> output_mask) {
  const Tensor indices = tokens.to(at::kLong).reshape({-1, tokens.size(-1)});     // (N, T)
  const Tensor d_any = tanh ? grad_output * (1 - output * output) : grad_output;  // (..., H)
  const Tensor d = d_any.reshape({indices.size(0), linear_weight.size(0)});       // (N, H)
  Gradients result;
  if (output_mask[0]) {
    const Tensor rows = d.mm(linear_weight).reshape({indices.numel(), embedding_weight.size(1)});  // (N*T, E)
    std::get<0>(result) =
        at::zeros(embedding_weight.sizes(), embedding_weight.options()).index_add(0, indices.flatten(), rows);
  }
  if (output_mask[1]) {
    const Tensor rows = embedding_weight.index_select(0, indices.flatten());                 // (N*T, E)
    std::get<1>(result) = d.t().mm(rows.reshape({indices.size(0), linear_weight.size(1)}));  // (H, T*E)
  }
  if (output_mask[2]) std::get<2>(result) = d.sum(0);  // (H)
  return result;
}

namespace {

struct EmbeddingConcatLinear {
  static constexpr const char* kName = "NamegenExtEmbeddingConcatLinearBackward";
  static constexpr size_t kInputs = 3;  // embedding_weight, linear_weight, linear_bias
  static constexpr size_t kSaved = 4;
  using Options = std::tuple<>;

  static variable_list backward(const Tensor& grad_output, const std::array<Tensor, kSaved>& saved, const Options&,
                                const std::array<bool, kInputs>& wanted) {
    const auto& [tokens, embedding_weight, linear_weight, output] = saved;  // output: undefined without tanh
    const bool tanh = output.defined();
    Gradients grads;
    if (at::GradMode::is_enabled()) {
      grads = differentiable_backward(grad_output, tokens, embedding_weight, linear_weight, output, tanh, wanted);
    } else {
      grads = call_backward(grad_output, tokens, embedding_weight, linear_weight,
                            tanh ? optional<Tensor>(output) : std::nullopt, tanh ? "tanh" : "none", wanted);
    }
    return {std::get<0>(grads), std::get<1>(grads), std::get<2>(grads)};
  }
};

Tensor forward_autograd(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                        const optional<Tensor>& linear_bias, c10::string_view activation) {
  const bool recorded = needs_gradient("embedding_concat_linear", embedding_weight, linear_weight, linear_bias);
  Tensor output;
  {
    at::AutoDispatchBelowADInplaceOrView below;
    output = call(tokens, embedding_weight, linear_weight, linear_bias, activation);
  }
  if (recorded) {
    const bool tanh = parse_activation(activation) == Activation::kTanh;
    record<EmbeddingConcatLinear>(output, embedding_weight, linear_weight, linear_bias)
        ->save({tokens, embedding_weight, linear_weight, tanh ? output : Tensor()}, 3, {});
  }
  return output;
}

// ---- autocast: the weights in the lower precision, as nn.Linear has them ------------------------------------------

template <at::DeviceType Device, c10::DispatchKey Key>
Tensor forward_autocast(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                        const optional<Tensor>& linear_bias, c10::string_view activation) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(Key);
  const auto type = at::autocast::get_autocast_dtype(Device);
  return call(tokens, at::autocast::cached_cast(type, embedding_weight, Device),
              at::autocast::cached_cast(type, linear_weight, Device),
              at::autocast::cached_cast(type, linear_bias, Device), activation);
}

TORCH_LIBRARY_IMPL(namegen_ext, CPU, m) {
  m.impl("embedding_concat_linear", forward_cpu);
  m.impl("embedding_concat_linear_backward", backward_cpu);
}
TORCH_LIBRARY_IMPL(namegen_ext, Meta, m) {
  m.impl("embedding_concat_linear", forward_meta);
  m.impl("embedding_concat_linear_backward", backward_meta);
}
TORCH_LIBRARY_IMPL(namegen_ext, Autograd, m) { m.impl("embedding_concat_linear", forward_autograd); }
TORCH_LIBRARY_IMPL(namegen_ext, AutocastCPU, m) {
  m.impl("embedding_concat_linear", forward_autocast<at::kCPU, c10::DispatchKey::AutocastCPU>);
}
TORCH_LIBRARY_IMPL(namegen_ext, AutocastCUDA, m) {
  m.impl("embedding_concat_linear", forward_autocast<at::kCUDA, c10::DispatchKey::AutocastCUDA>);
}

}  // namespace
}  // namespace namegen::ops::embedding_concat_linear
