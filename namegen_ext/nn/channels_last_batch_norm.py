"""Batch normalisation of (..., C) over all dimensions but the last, by PyTorch's own layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext.nn.variances import VARIANCES


class ChannelsLastBatchNorm1d(nn.BatchNorm1d):
    """An nn.BatchNorm1d that takes the last dimension as channels and reduces over all others.

    The leading dimensions are joined, which is a view, and PyTorch's layer normalises the rows: no
    transposes. ``namegen_ext.fuse`` runs it, and a tanh behind it, as ``namegen_ext.ops.batch_norm``.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance.
        momentum: the share of a batch in the running statistics; None averages over all batches.
        affine: whether to learn a scale and a shift per channel.
        track_running_stats: whether to keep running statistics for evaluation.
        variance: what a training batch is divided by: "biased" (the sum of squares over n, as
            nn.BatchNorm1d and the paper) or "unbiased" (over n - 1, as the makemore lectures). The running
            statistics track the unbiased one in both.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers, a floating-point type.

    Shape:
        - x: (..., C).
        - result: the shape of x.

    Raises:
        ValueError: ``variance`` is unknown; in a call, one value per channel in training.

    Sources: Ioffe and Szegedy, "Batch Normalization", 2015; A. Karpathy's lectures "Building makemore", parts
    3 to 5, 2022.

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
        """Normalise by the batch's unbiased variance, with PyTorch's function for the biased one."""
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # the plain average over all batches so far
            momentum = 1.0 / float(self.num_batches_tracked) if self.num_batches_tracked is not None else 0.0
        tracks = self.training and self.track_running_stats
        weight, eps = unbiased_scale(self.weight, self.eps, rows)
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


def unbiased_scale(weight: Tensor | None, eps: float, x: Tensor) -> tuple[Tensor, float]:
    """Return the scale and eps with which a batch norm by the biased variance divides by the unbiased one.

    With r = (n - 1) / n: 1 / sqrt(v / r + eps) = sqrt(r) / sqrt(v + r * eps), v being the biased variance.

    Args:
        weight: (C,), or None for ones.
        eps: as the module has it.
        x: (..., C), n rows in all, at least 2.

    Returns:
        The scale (C,) in the dtype of the weight (or of x), and the eps.

    """
    num_rows = x.numel() // x.shape[-1]
    ratio = (num_rows - 1) / num_rows
    if weight is None:
        return x.new_full((x.shape[-1],), ratio**0.5), ratio * eps  # (C,)
    return weight * ratio**0.5, ratio * eps  # (C,)
