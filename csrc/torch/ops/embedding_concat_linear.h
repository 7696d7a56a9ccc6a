// What the CPU side and the CUDA side of embedding_concat_linear share: the checks of its arguments, its sizes, and its
// plain products.
#pragma once

#include <array>
#include <tuple>

#include "ops/operator_support.h"

namespace namegen::ops::embedding_concat_linear {

using Gradients = std::tuple<Tensor, Tensor, Tensor>;

// Both raise RuntimeError where an argument does not fit; the message names it.
void check(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
           const optional<Tensor>& linear_bias);
void check_gradient(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                    const Tensor& linear_weight, const optional<Tensor>& output, Activation activation);

// Calls torch.ops.namegen_ext.embedding_concat_linear through the dispatcher.
Tensor call(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
            const optional<Tensor>& linear_bias, std::string_view activation);

// The same for torch.ops.namegen_ext.embedding_concat_linear_backward.
Gradients call_backward(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                        const Tensor& linear_weight, const optional<Tensor>& output, c10::string_view activation,
                        std::array<bool, 3> output_mask);

// The gradients by torch's own differentiable operators. `output` is used where `tanh` is true.
Gradients differentiable_backward(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                                  const Tensor& linear_weight, const Tensor& output, bool tanh,
                                  std::array<bool, 3> output_mask);

EmbeddingConcatLinearShape shape_of(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight);

// The operator by torch's plain products. All tensors have one dtype; y is undefined where there is no activation.
Tensor plain_forward(const EmbeddingConcatLinearShape& shape, const Tensor& tokens, const Tensor& embedding,
                     const Tensor& linear, const optional<Tensor>& bias, Activation activation);  // (N, H)
Gradients plain_backward(const EmbeddingConcatLinearShape& shape, const Tensor& dy, const Tensor& tokens,
                         const Tensor& embedding, const Tensor& linear, const Tensor& y,
                         std::array<bool, 3> output_mask);

// Copies the tokens as int32. Raises IndexError for a token outside [0, V).
int32_t* checked_tokens(const Tensor& tokens, int64_t vocab, cpu::Context& context);
// Raises IndexError for a token outside [0, V), without a copy.
void check_range(const Tensor& tokens, int64_t vocab);

// ---- memory: no more of torch's than the unfused layers hold at their peak ------------------------------------------

// The bytes that these hold besides the result: the concatenated embeddings, then one more output for the activation.
int64_t forward_allowance(const EmbeddingConcatLinearShape& shape, Activation activation, int64_t element_bytes);

// The bytes that they hold in the backward pass.
struct BackwardPeak {
  int64_t peak;                     // of all that they hold at a time, gradients included
  int64_t linear, bias, embedding;  // of each gradient that is wanted, else 0
};
BackwardPeak backward_peak(const EmbeddingConcatLinearShape& shape, Activation activation,
                           std::array<bool, 3> output_mask, int64_t element_bytes);

// The operator in bfloat16 and float16 on the CPU. Throws TorchContext::OutOfRoom where it would take more memory than
// that.
Tensor low_forward(const EmbeddingConcatLinearShape& shape, const Tensor& tokens, const Tensor& embedding_weight,
                   const Tensor& linear_weight, const optional<Tensor>& linear_bias, Activation activation);  // (N, H)
Gradients low_backward(const EmbeddingConcatLinearShape& shape, const Tensor& grad_output, const Tensor& tokens,
                       const Tensor& embedding_weight, const Tensor& linear_weight, const Tensor& output,
                       Activation activation, std::array<bool, 3> output_mask);

}  // namespace namegen::ops::embedding_concat_linear
