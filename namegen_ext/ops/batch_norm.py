"""Batch normalisation and tanh as one operator, channels last."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators

ACTIVATIONS = ("none", "tanh")

_batch_norm = torch.ops.namegen_ext.batch_norm.default
# The same operator without the conversion of arguments, where it is not needed.
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

    Equal to :func:`batch_norm_reference`. In training it normalises with the biased variance of the batch and
    moves the running statistics, in place, towards the batch's mean and unbiased variance; in evaluation it
    normalises with the running statistics, which must be given then. The
    statistics are computed in float32 (float64 for float64 input), chunk by chunk, and merged in a fixed
    order (Chan, Golub and LeVeque 1979): the same bits on every run and for any number of threads.

    Args:
        x: (..., C), float32, float64, bfloat16 or float16; any strides.
        running_mean: (C,) or None; updated in place when ``training``.
        running_var: (C,) or None; updated in place when ``training``.
        weight: (C,) or None.
        bias: (C,) or None.
        training: whether to normalise with the statistics of the batch.
        momentum: the share of the batch in the new running statistics, in [0, 1].
        eps: added to the variance.
        activation: "none" or "tanh".

    Returns:
        (..., C), the dtype of x. Differentiable, twice too, in x, weight and bias.

    Raises:
        ValueError: in training, one value per channel, eps <= 0, or only one of the running statistics; an
            unknown ``activation``.
        RuntimeError: a shape, dtype or device does not fit; the message names the argument.

    Source: Ioffe and Szegedy, "Batch Normalization", 2015.

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
    """Compute what :func:`batch_norm` computes, in stock PyTorch: the readable reference."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}")
    rows = x.reshape(-1, x.shape[-1])  # (N, C)
    normalised = F.batch_norm(rows, running_mean, running_var, weight, bias, training, momentum, eps)
    activated = torch.tanh(normalised) if activation == "tanh" else normalised
    return activated.reshape(x.shape)  # (..., C)
