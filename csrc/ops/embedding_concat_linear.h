// What the CPU and the CUDA side of embedding_concat_linear share: the checks of its arguments, and its sizes.
#pragma once

#include <array>
#include <tuple>

#include "ops/common.h"

namespace namegen::ops::embedding_concat_linear {

using Gradients = std::tuple<Tensor, Tensor, Tensor>;

// Raise RuntimeError, naming the argument, where one does not fit.
void check(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
           const optional<Tensor>& linear_bias);
void check_gradient(const Tensor& grad_output, const Tensor& tokens, const Tensor& embedding_weight,
                    const Tensor& linear_weight, const optional<Tensor>& output, Activation activation);

// torch.ops.namegen_ext.embedding_concat_linear, by way of the dispatcher.
Tensor call(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
            const optional<Tensor>& linear_bias, std::string_view activation);

EmbeddingConcatLinearShape shape_of(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight);

}  // namespace namegen::ops::embedding_concat_linear
