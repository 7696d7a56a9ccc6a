"""A linear layer as an operator: the product that stands between two fused ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators

_linear = torch.ops.namegen_ext.linear.default
# The same operator without the conversion of arguments, where it is not needed.
_fast_linear = _operators.linear


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply by the transpose of a weight and add a bias, as ``torch.nn.functional.linear`` does.

    Equal to :func:`linear_reference`. On the CPU, in float32 and float64, the products run in our own kernels, with
    the same bits on every run and for any number of threads; elsewhere they are PyTorch's.

    Args:
        x: (..., in_features), float32, float64, bfloat16 or float16; any strides.
        weight: (out_features, in_features), the dtype of x.
        bias: (out_features,), the dtype of x, or None.

    Returns:
        (..., out_features), the dtype of x. Differentiable, twice too, in all three.

    Raises:
        RuntimeError: a shape, dtype or device does not fit; the message names the argument.

    """
    if not is_dynamo_compiling():
        result = _fast_linear(x, weight, bias)
        if result is not NotImplemented:
            return result
    return _linear(x, weight, bias)


def linear_reference(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute what :func:`linear` computes, in stock PyTorch: the readable reference."""
    return F.linear(x, weight, bias)  # (..., out_features)
