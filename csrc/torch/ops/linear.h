// Calls torch.ops.namegen_ext.linear through the dispatcher.
#pragma once

#include "ops/operator_support.h"

namespace namegen::ops::linear {

Tensor call(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias);

}  // namespace namegen::ops::linear
