"""Batch normalisation of (..., C) over all dimensions but the last, with PyTorch's own layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext.nn.variances import VARIANCES


class ChannelsLastBatchNorm1d(nn.BatchNorm1d):
    """An nn.BatchNorm1d whose channels are the last dimension. It takes its statistics over all other dimensions.

    The leading dimensions are joined, which is a view, and PyTorch's layer normalises the rows, so nothing is
    transposed. After ``namegen_ext.fuse`` it runs, with a tanh that follows it, as ``namegen_ext.ops.batch_norm``.

    Args:
        num_features: C, the number of channels.
        eps: the number that is added to the variance.
        momentum: the share of a batch in the running statistics; None averages over all batches.
        affine: whether to learn a scale and a shift per channel.
        track_running_stats: whether to keep running statistics for evaluation.
        variance: the variance that a training batch is normalised with. "biased" divides the sum of squares by n, as
            nn.BatchNorm1d and the paper do; "unbiased" divides it by n - 1, as the makemore lectures do. The running
            statistics follow the unbiased variance in both cases.
        device: the device of the parameters and buffers.
        dtype: the dtype of the parameters and buffers, a floating-point type.

    Shape:
        - x: (..., C), floating point.
        - result: the shape and dtype of x.

    Raises:
        ValueError: ``variance`` is unknown; in a call, there is one value per channel in training.

    Sources: Ioffe and Szegedy, "Batch Normalization", 2015; A. Karpathy's lectures "Building makemore", parts
    3 to 5, 2022.

    Example:
        >>> import torch
        >>> from namegen_ext.nn import ChannelsLastBatchNorm1d
        >>> layer = ChannelsLastBatchNorm1d(128)
        >>> layer(torch.randn(32, 4, 128)).shape
        torch.Size([32, 4, 128])

    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        variance: str = "biased",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if variance not in VARIANCES:
            raise ValueError(f"variance must be one of {', '.join(VARIANCES)}, but got {variance!r}")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self.variance = variance

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale and shift.

        Args:
            x: (..., C).

        Returns:
            The shape of x.

        Raises:
            ValueError: in training, there is one value per channel.
            RuntimeError: the number of channels, a dtype or a device does not fit.

        """
        rows = x.reshape(-1, x.shape[-1])  # (N, C)
        uses_batch = self.training or self.running_mean is None
        if self.variance == "unbiased" and uses_batch and len(rows) > 1:
            normalised = self._unbiased(rows)
        else:
            normalised = super().forward(rows)  # (N, C)
        return normalised.view(x.shape)

    def _unbiased(self, rows: Tensor) -> Tensor:
        """Normalise with the batch's unbiased variance, by means of PyTorch's function for the biased one."""
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # the running statistics are the plain average over all batches so far
            momentum = 1.0 / float(self.num_batches_tracked) if self.num_batches_tracked is not None else 0.0
        tracks = self.training and self.track_running_stats
        weight, eps = unbiased_scale(self.weight, self.eps, len(rows), rows.shape[1], rows)
        return F.batch_norm(
            rows,
            self.running_mean if tracks else None,
            self.running_var if tracks else None,
            weight,
            self.bias,
            True,
            momentum,
            eps,
        )  # (N, C)

    def extra_repr(self) -> str:
        """Show the arguments of nn.BatchNorm1d and the variance."""
        return f"{super().extra_repr()}, variance={self.variance!r}"


def unbiased_scale(
    weight: Tensor | None, eps: float, num_rows: int, num_channels: int, like: Tensor
) -> tuple[Tensor, float]:
    """Return the scale and the eps that let a batch norm with the biased variance divide by the unbiased one.

    For n rows with the biased variance v and r = (n - 1) / n:

        1 / sqrt(v / r + eps) = sqrt(r) / sqrt(v + r * eps)

    Args:
        weight: (C,), or None for ones.
        eps: the module's eps.
        num_rows: n, at least 2.
        num_channels: C.
        like: a tensor with the dtype and device of the scale where there is no weight.

    Returns:
        The scale (C,) and the eps.

    """
    ratio = (num_rows - 1) / num_rows
    if weight is None:
        return like.new_full((num_channels,), ratio**0.5), ratio * eps  # (C,)
    return weight * ratio**0.5, ratio * eps  # (C,)
