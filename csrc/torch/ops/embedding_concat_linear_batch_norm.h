// How others call embedding_concat_linear_batch_norm.
#pragma once

#include <string_view>

#include "ops/operator_support.h"

namespace namegen::ops::embedding_concat_linear_batch_norm {

// Calls torch.ops.namegen_ext.embedding_concat_linear_batch_norm through the dispatcher.
Tensor call(const Tensor& tokens, const Tensor& embedding_weight, const Tensor& linear_weight,
            const optional<Tensor>& linear_bias, const optional<Tensor>& running_mean,
            const optional<Tensor>& running_var, const optional<Tensor>& weight, const optional<Tensor>& bias,
            bool training, double momentum, double eps, std::string_view activation);

}  // namespace namegen::ops::embedding_concat_linear_batch_norm
