"""Batch normalisation and tanh as one operator, channels last."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators

ACTIVATIONS = ("none", "tanh")

_batch_norm = torch.ops.namegen_ext.batch_norm.default
# A quicker way to the same operator, without the conversion of arguments. It returns NotImplemented where the operator
# above must be called.
_fast_batch_norm = _operators.batch_norm


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    activation: str = "none",
) -> Tensor:
    """Normalise each channel over all other dimensions, scale, shift and apply an activation.

    The result equals that of :func:`batch_norm_reference` to rounding:

        y = activation((x - mean) / sqrt(var + eps) * weight + bias)

    In training, mean and var are those of the batch, with the biased variance, and the running statistics are moved in
    place towards the batch's mean and unbiased variance. In evaluation, mean and var are the running statistics, which
    must be given then.

    The statistics are computed in float32 (float64 for float64 input), chunk by chunk, and merged in a fixed order. So
    the result has the same bits on every run and for any number of threads.

    Args:
        x: (..., C), float32, float64, bfloat16 or float16, with any strides.
        running_mean: (C,) or None; updated in place in training.
        running_var: (C,) or None; updated in place in training.
        weight: (C,) or None, which counts as ones.
        bias: (C,) or None, which counts as zeros.
        training: whether to normalise with the statistics of the batch.
        momentum: the share of the batch in the new running statistics, in [0, 1].
        eps: the number that is added to the variance.
        activation: "none" or "tanh".

    Returns:
        (..., C), with the dtype of x. It can be differentiated twice with respect to x, weight and bias.

    Raises:
        ValueError: in training, there is one value per channel, eps is not above 0, or only one of the running
            statistics is given; or ``activation`` is unknown.
        RuntimeError: a shape, dtype or device does not fit. The message names the argument.

    Sources: Ioffe and Szegedy, "Batch Normalization", 2015; for the merging, Chan, Golub and LeVeque, "Updating
    Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.

    Example:
        >>> import torch
        >>> from namegen_ext.ops import batch_norm
        >>> x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])  # (2, C)
        >>> batch_norm(x, None, None, None, None, training=True, momentum=0.1, eps=1e-5)
        tensor([[-1.0000, -1.0000],
                [ 1.0000,  1.0000]])

    """
    if not is_dynamo_compiling():
        result = _fast_batch_norm(
            x, running_mean, running_var, weight, bias, training, momentum, eps, activation
        )
        if result is not NotImplemented:
            return result
    return _batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps, activation)


def batch_norm_reference(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    activation: str = "none",
) -> Tensor:
    """Compute what :func:`batch_norm` computes, in stock PyTorch: the readable reference.

    The arguments, the result and the source are those of :func:`batch_norm`. Errors are PyTorch's own.

    Raises:
        ValueError: ``activation`` is unknown.

    Example:
        >>> import torch
        >>> from namegen_ext.ops import batch_norm, batch_norm_reference
        >>> arguments = torch.rand(8, 3), None, None, None, None, True, 0.1, 1e-5, "tanh"
        >>> torch.testing.assert_close(batch_norm(*arguments), batch_norm_reference(*arguments))

    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}")
    rows = x.reshape(-1, x.shape[-1])  # (N, C)
    normalised = F.batch_norm(rows, running_mean, running_var, weight, bias, training, momentum, eps)
    activated = torch.tanh(normalised) if activation == "tanh" else normalised
    return activated.reshape(x.shape)  # (..., C)
