"""A linear layer as an operator: the product that stands between two other operators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators

_linear = torch.ops.namegen_ext.linear.default
# A quicker way to the same operator, without the conversion of arguments. It returns NotImplemented where the operator
# above must be called.
_fast_linear = _operators.linear


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply by the transpose of a weight and add a bias, as ``torch.nn.functional.linear`` does.

    The result equals that of :func:`linear_reference` to rounding: y = x @ weight.T + bias. On the CPU, float32 and
    float64 products run in this package's own kernels, which give the same bits on every run and for any number of
    threads. Elsewhere PyTorch's own products are used.

    Args:
        x: (..., in_features), float32, float64, bfloat16 or float16, with any strides.
        weight: (out_features, in_features), with the dtype of x.
        bias: (out_features,) with the dtype of x, or None.

    Returns:
        (..., out_features), with the dtype of x. It can be differentiated twice with respect to all three arguments.

    Raises:
        RuntimeError: a shape, dtype or device does not fit. The message names the argument.

    Source: the linear layer as ``torch.nn.functional.linear`` defines it.

    Example:
        >>> import torch
        >>> from namegen_ext.ops import linear
        >>> x = torch.tensor([[1.0, 2.0]])  # (B, in_features)
        >>> weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # (out_features, in_features)
        >>> linear(x, weight)
        tensor([[1., 2., 3.]])

    """
    if not is_dynamo_compiling():
        result = _fast_linear(x, weight, bias)
        if result is not NotImplemented:
            return result
    return _linear(x, weight, bias)


def linear_reference(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute what :func:`linear` computes, in stock PyTorch: the readable reference.

    The arguments, the result and the source are those of :func:`linear`. Errors are PyTorch's own.

    Example:
        >>> import torch
        >>> from namegen_ext.ops import linear, linear_reference
        >>> arguments = torch.rand(8, 3), torch.rand(4, 3), torch.rand(4)
        >>> torch.testing.assert_close(linear(*arguments), linear_reference(*arguments))

    """
    return F.linear(x, weight, bias)  # (..., out_features)
