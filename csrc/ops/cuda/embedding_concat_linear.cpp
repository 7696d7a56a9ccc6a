// torch.ops.namegen_ext.embedding_concat_linear on CUDA devices: by table through the kernels, or, where no table pays
// or fits, by the plain products of torch's own operators. Only allocates and enqueues: the host never waits for the
// device. A token outside [0, V) ends in a device-side assertion, as in torch's embedding.
#include "ops/embedding_concat_linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "ops/cuda/common.h"

namespace namegen::ops::embedding_concat_linear {
namespace {

TokenType token_type(at::ScalarType type) {
  return type == at::kLong ? TokenType::kInt64 : type == at::kInt ? TokenType::kInt32 : TokenType::kUInt8;
}

// ---- the plain products ---------------------------------------------------------------------------------------------

// Tokens as torch's embedding takes them, (N*T).
Tensor flat_indices(const Tensor& tokens) {
  return (tokens.scalar_type() == at::kByte ? tokens.to(at::kLong) : tokens).reshape({tokens.numel()});
}

// The concatenated embeddings, (N, T*E).
Tensor concatenated(const EmbeddingConcatLinearShape& s, const Tensor& indices, const Tensor& embedding) {
  return at::embedding(embedding, indices).view({s.batch, s.block * s.embed});
}

Tensor plain_forward(const EmbeddingConcatLinearShape& s, const Tensor& tokens, const Tensor& embedding,
                     const Tensor& linear, const optional<Tensor>& bias, Activation activation) {
  const Tensor x = concatenated(s, flat_indices(tokens), embedding);                      // (N, T*E)
  Tensor z = bias.has_value() ? at::addmm(*bias, x, linear.t()) : at::mm(x, linear.t());  // (N, H)
  return activation == Activation::kTanh ? z.tanh_() : z;
}

Gradients plain_backward(const EmbeddingConcatLinearShape& s, const Tensor& dy, const Tensor& tokens,
                         const Tensor& embedding, const Tensor& linear, const Tensor& y,
                         std::array<bool, 3> output_mask) {
  const Tensor indices = flat_indices(tokens);
  const Tensor d = (y.defined() ? at::tanh_backward(dy, y) : dy).reshape({s.batch, s.hidden});  // (N, H)
  Gradients result;
  if (output_mask[0]) {
    // Sorts by symbol, then sums in order: deterministic, as the kernels here are.
    const Tensor rows = d.mm(linear).view({s.batch * s.block, s.embed});  // (N*T, E)
    std::get<0>(result) = rows.numel() == 0 ? at::zeros(embedding.sizes(), embedding.options())
                                            : at::embedding_dense_backward(rows, indices, s.vocab, -1, false);
  }
  if (output_mask[1]) std::get<1>(result) = d.t().mm(concatenated(s, indices, embedding));  // (H, T*E)
  if (output_mask[2]) std::get<2>(result) = d.sum(0);                                       // (H)
  return result;
}

// ---- the operators --------------------------------------------------------------------------------------------------

Tensor forward_cuda(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
                    const optional<Tensor>& linear_bias, c10::string_view activation) {
  const Activation act = parse_activation(activation);
  check(tokens, embedding_weight, linear_weight, linear_bias);
  const OnDevice on(embedding_weight);
  const auto type = embedding_weight.scalar_type();
  const Tensor indices = tokens.contiguous();
  const Tensor embedding = contiguous_as(embedding_weight, type), linear = contiguous_as(linear_weight, type);
  const auto bias = given(linear_bias) ? optional<Tensor>(contiguous_as(*linear_bias, type)) : std::nullopt;

  auto sizes = tokens.sizes().vec();
  sizes.back() = linear_weight.size(0);
  const DType data = data_type(type, "embedding_weight");
  cuda::EmbeddingConcatLinearForward params{shape_of(indices, embedding, linear),
                                            indices.const_data_ptr(),
                                            token_type(indices.scalar_type()),
                                            embedding.const_data_ptr(),
                                            linear.const_data_ptr(),
                                            data_or_null(bias),
                                            nullptr,
                                            act};
  const auto plan = cuda::plan_embedding_concat_linear_forward(data, params, on.device());
  if (plan.table == cuda::Table::kNone) {
    return plain_forward(params.shape, indices, embedding, linear, bias, act).view(sizes);
  }
  Tensor output = at::empty(sizes, embedding_weight.options());  // (..., H)
  params.output = output.mutable_data_ptr();
  const Tensor scratch = on.scratch(plan.scratch_bytes);
  C10_CUDA_CHECK(cuda::embedding_concat_linear_forward(data, params, plan, scratch.mutable_data_ptr(), on.stream()));
  return output;
}

Gradients backward_cuda(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                        const Tensor& linear_weight, const optional<Tensor>& output, c10::string_view activation,
                        std::array<bool, 3> output_mask) {
  const Activation act = parse_activation(activation);
  check_gradient(grad_output, tokens, embedding_weight, linear_weight, output, act);
  const OnDevice on(embedding_weight);
  const auto type = embedding_weight.scalar_type();
  const Tensor indices = tokens.contiguous();
  const Tensor embedding = contiguous_as(embedding_weight, type), linear = contiguous_as(linear_weight, type);
  const Tensor dy = contiguous_as(grad_output, type);
  const Tensor y = act == Activation::kTanh ? contiguous_as(*output, type) : Tensor();

  const DType data = data_type(type, "embedding_weight");
  cuda::EmbeddingConcatLinearBackward params{shape_of(indices, embedding, linear),
                                             indices.const_data_ptr(),
                                             token_type(indices.scalar_type()),
                                             embedding.const_data_ptr(),
                                             linear.const_data_ptr(),
                                             y.defined() ? y.const_data_ptr() : nullptr,
                                             dy.const_data_ptr(),
                                             nullptr,
                                             nullptr,
                                             nullptr,
                                             act};
  const auto plan = cuda::plan_embedding_concat_linear_backward(data, params, on.device());
  if (!plan.by_table) return plain_backward(params.shape, dy, indices, embedding, linear, y, output_mask);

  Tensor grad_embedding, grad_linear, grad_bias;
  if (output_mask[0]) grad_embedding = at::empty(embedding.sizes(), embedding.options());  // (V, E)
  if (output_mask[1]) grad_linear = at::empty(linear.sizes(), linear.options());           // (H, T*E)
  if (output_mask[2]) grad_bias = at::empty({linear.size(0)}, linear.options());           // (H)
  params.grad_embedding = mutable_or_null(grad_embedding);
  params.grad_linear_weight = mutable_or_null(grad_linear);
  params.grad_linear_bias = mutable_or_null(grad_bias);
  const Tensor scratch = on.scratch(plan.scratch_bytes);
  C10_CUDA_CHECK(cuda::embedding_concat_linear_backward(data, params, plan, scratch.mutable_data_ptr(), on.stream()));
  return {grad_embedding, grad_linear, grad_bias};
}

TORCH_LIBRARY_IMPL(namegen_ext, CUDA, m) {
  m.impl("embedding_concat_linear", forward_cuda);
  m.impl("embedding_concat_linear_backward", backward_cuda);
}

}  // namespace
}  // namespace namegen::ops::embedding_concat_linear
