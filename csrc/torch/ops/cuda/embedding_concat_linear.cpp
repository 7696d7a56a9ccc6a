// torch.ops.namegen_ext.embedding_concat_linear on CUDA devices. The kernels compute it by a table of rows per symbol.
// Where no table pays or fits, torch's own operators compute the plain products
// (ops/embedding_concat_linear_plain.cpp). Either way it only allocates memory and enqueues kernels: the host never
// waits for the device. A token outside [0, V) ends in a device-side assertion, as in torch's embedding.
#include "ops/embedding_concat_linear.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "ops/cuda/on_device.h"

namespace namegen::ops::embedding_concat_linear {
namespace {

TokenType token_type(at::ScalarType type) {
  return type == at::kLong ? TokenType::kInt64 : type == at::kInt ? TokenType::kInt32 : TokenType::kUInt8;
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
  const auto bias = parameter(linear_bias, type);

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
