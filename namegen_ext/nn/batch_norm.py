"""Batch normalisation and an activation as one module, a drop-in replacement for nn.BatchNorm1d."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import is_dynamo_compiling

from namegen_ext._native.operators import add_one
from namegen_ext.nn.channels_last_batch_norm import unbiased_scale
from namegen_ext.nn.conditions import PLAIN_TENSORS, why_not_tensor
from namegen_ext.nn.plain_calls import why_not_now
from namegen_ext.ops import batch_norm

ACTIVATIONS = ("none", "tanh")

# PyTorch's CPU kernel vectorises over the length of a contiguous (N, C, L) input. The operator needs the channels last.
# From this length on, PyTorch's kernel is faster. Measured, forward and backward:
#     0.14 ms with PyTorch's kernel, 0.18 ms with the operator (32, 128, 8);
#     3.6 ms with PyTorch's kernel, 7.9 ms with the operator (256, 68, 64);
#     0.36 ms with PyTorch's kernel, 0.16 ms with the operator (32, 200, 4).
STOCK_LENGTH = 8


class FusedBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation over a 2-D or 3-D input, with an optional activation in the same pass.

    With ``activation="none"`` it is a drop-in replacement for :class:`torch.nn.BatchNorm1d`: it has the same
    constructor, parameters, buffers, state_dict, errors, and behaviour in training and evaluation. With
    ``activation="tanh"`` it computes ``nn.Sequential(nn.BatchNorm1d(C), nn.Tanh())`` in one operator.

    Where the operator does not take a call (a device without kernels, tensor subclasses, torch.func transforms,
    forward-mode differentiation), the module runs PyTorch's own batch norm.

    A tool that replaces nn.BatchNorm1d modules by class, such as SyncBatchNorm.convert_sync_batchnorm, does not know
    the activation. Use ``activation="none"`` and an nn.Tanh with such a tool.

    Args:
        num_features: C, the number of channels.
        eps: the number that is added to the variance.
        momentum: the share of a batch in the running statistics; None averages over all batches.
        affine: whether to learn a scale and a shift per channel.
        track_running_stats: whether to keep running statistics for evaluation.
        activation: "none" or "tanh".
        device: the device of the parameters and buffers.
        dtype: the dtype of the parameters and buffers, a floating-point type.
        **options: further keyword arguments that this version of nn.BatchNorm1d takes.

    Shape:
        - x: (N, C) or (N, C, L), floating point.
        - result: the shape and dtype of x.

    Raises:
        ValueError: ``activation`` is unknown.

    Source: Ioffe and Szegedy, "Batch Normalization", 2015.

    Example:
        >>> import torch
        >>> from namegen_ext.nn import FusedBatchNorm1d
        >>> layer = FusedBatchNorm1d(200, activation="tanh")
        >>> layer(torch.randn(32, 200)).shape
        torch.Size([32, 200])

    """

    stands_for = nn.BatchNorm1d

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        activation: str = "none",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, **options)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale, shift and apply the activation.

        Args:
            x: (N, C) or (N, C, L).

        Returns:
            The shape and dtype of x.

        Raises:
            ValueError: x is neither 2-D nor 3-D, or it has one value per channel where its own statistics are used.
            RuntimeError: the number of channels, a dtype or a device does not fit.

        """
        normalised = batch_norm_1d(self, x, self.activation) if why_not_now() is None else None
        if normalised is not None:
            return normalised
        normalised = super().forward(x)
        return torch.tanh(normalised) if self.activation == "tanh" else normalised

    def extra_repr(self) -> str:
        """Show the arguments of nn.BatchNorm1d and the activation."""
        return f"{super().extra_repr()}, activation={self.activation!r}"


def batch_norm_1d(module: nn.BatchNorm1d, x: Tensor, activation: str) -> Tensor | None:
    """Run the fused operator for an nn.BatchNorm1d module in its layouts.

    Args:
        module: the module. Its parameters, buffers, mode and options are used, and its buffers are updated.
        x: (N, C) or (N, C, L).
        activation: "none" or "tanh".

    Returns:
        The result, which is contiguous as that of the stock layer is. It is None where the stock layer must run, or
        must raise its error; then nothing has been changed.

    """
    if not isinstance(x, Tensor):
        return None
    dimensions = x.dim()
    if dimensions == 2:
        return batch_norm_channels_last(module, x, activation)
    if dimensions != 3 or (x.shape[2] >= STOCK_LENGTH and x.is_contiguous()):
        return None
    normalised = batch_norm_channels_last(module, x.transpose(1, 2), activation)  # (N, L, C)
    return None if normalised is None else normalised.transpose(1, 2).contiguous()  # (N, C, L)


def batch_norm_channels_last(
    module: nn.BatchNorm1d, x: Tensor, activation: str, variance: str = "biased"
) -> Tensor | None:
    """Run the fused operator for a batch-norm module over all dimensions but the last.

    Args:
        module: the module. Its parameters, buffers, mode and options are used, and its buffers are updated.
        x: (..., C).
        activation: "none" or "tanh".
        variance: "biased" or "unbiased", the variance of the batch that x is normalised with.

    Returns:
        (..., C), or None where the stock layer must run; then nothing has been changed.

    """
    if why_not_tensor("batch_norm", x) is not None:
        return None
    state = batch_norm_state(module, x.shape, x, variance)
    return None if state is None else batch_norm(x, *state, activation)


# running_mean, running_var, weight, bias, whether the statistics of the batch are used, momentum, eps: as the operators
# take them.
BatchNormState = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None, bool, float, float]


def batch_norm_state(
    module: nn.BatchNorm1d, shape: Sequence[int], like: Tensor, variance: str = "biased"
) -> BatchNormState | None:
    """Prepare a batch-norm module for one call of a fused operator, which must follow. The batch is counted.

    Args:
        module: the module. Its parameters, buffers, mode and options are used.
        shape: (..., C), of what is normalised.
        like: a tensor with the same dtype and device.
        variance: "biased" or "unbiased".

    Returns:
        The arguments; None where the stock layer must run. Then nothing has been changed.

    """
    buffers = module._buffers
    parameters: dict[str, Any] = module._parameters  # nn.Module's attribute access is slow
    try:
        weight, bias = parameters["weight"], parameters["bias"]  # (C,), (C,)
        running_mean, running_var = buffers["running_mean"], buffers["running_var"]  # (C,), (C,)
        num_batches_tracked = buffers["num_batches_tracked"]  # ()
    except KeyError:  # pruning and data-parallel replicas keep a tensor elsewhere
        return None
    if weight is not None and type(weight) not in PLAIN_TENSORS:
        return None
    if (running_mean is None) is not (running_var is None):
        return None

    training, momentum = module.training, module.momentum
    use_batch_statistics = training or running_mean is None
    if use_batch_statistics and shape[0] < 2 and math.prod(shape) <= shape[-1]:
        return None  # there is one value per channel, which is an error, or none at all
    if training and not module.track_running_stats:
        running_mean = running_var = None
    elif training and num_batches_tracked is not None:
        if is_dynamo_compiling() or not add_one(num_batches_tracked):
            num_batches_tracked.add_(1)
        if momentum is None:  # the running statistics are the plain average over all batches so far
            momentum = 1.0 / float(num_batches_tracked)
    if momentum is None:
        momentum = 0.0
    scale, eps = weight, module.eps
    if variance == "unbiased" and use_batch_statistics:
        scale, eps = unbiased_scale(weight, module.eps, math.prod(shape[:-1]), shape[-1], like)  # (C,)
    return running_mean, running_var, scale, bias, use_batch_statistics, momentum, eps
