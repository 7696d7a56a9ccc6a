"""Batch norm whose batch is spread over several processes: every row counts, wherever it is."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from namegen_ext.nn.channels_last_batch_norm import ChannelsLastBatchNorm1d


class SynchronizedBatchNorm1d(ChannelsLastBatchNorm1d):
    """A ChannelsLastBatchNorm1d that, in training, takes its statistics over the batches of all processes.

    torch.nn.SyncBatchNorm does so on GPUs only. Here each process sends its mean and its sum of squared
    deviations, which all merge in the order of the ranks, so that the statistics have the same bits everywhere.
    The backward adds up the two sums of the gradient over the processes; the gradients of weight and bias are of
    the process's own rows, as those of all other parameters are.

    Args:
        as for :class:`namegen_ext.nn.ChannelsLastBatchNorm1d`.

    Raises:
        ValueError: in training, all processes together have one value per channel.

    Sources: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
    1979, for the merging.

    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale and shift: (..., C) of any leading dimensions."""
        if not self.training:
            return super().forward(x)
        rows = x.reshape(-1, x.shape[-1])  # (n, C)
        weight = rows.new_ones(rows.shape[1]) if self.weight is None else self.weight  # (C,)
        bias = rows.new_zeros(rows.shape[1]) if self.bias is None else self.bias  # (C,)
        unbiased = self.variance == "unbiased"
        y, mean, squares, num_rows = _Normalise.apply(rows, weight, bias, self.eps, unbiased)
        self._track(mean, squares / (num_rows - 1))
        return y.view(x.shape)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(var, share)


class _Normalise(torch.autograd.Function):
    """The operation, with one exchange between the processes in each direction."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, eps: float, unbiased: bool
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        mean, squares, num_rows = _statistics(rows)  # (C,), (C,)
        if num_rows < 2:
            raise ValueError("batch norm needs more than one value per channel in training, but got 1")
        divisor = num_rows - 1 if unbiased else num_rows
        scale = (squares / divisor + eps).rsqrt()  # (C,)
        normalised = (rows - mean) * scale  # (n, C)
        ctx.save_for_backward(normalised, weight, scale)
        ctx.num_rows, ctx.divisor = num_rows, divisor
        ctx.mark_non_differentiable(mean, squares)
        return normalised * weight + bias, mean, squares, num_rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *unused: Any) -> tuple[Tensor | None, ...]:
        normalised, weight, scale = ctx.saved_tensors
        own = torch.stack([dy.sum(0), (dy * normalised).sum(0)])  # (2, C)
        total = own.clone()
        dist.all_reduce(total)
        # With v = squares / divisor, dv/dx = 2 * (x - mean) / divisor; the mean's share is that of all rows.
        centred = dy - total[0] / ctx.num_rows - normalised * (total[1] / ctx.divisor)  # (n, C)
        return centred * (weight * scale), own[1], own[0], None, None


def _statistics(rows: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return mean and sum of squared deviations (C,) over the rows (n, C) of all processes, and their number."""
    channels = rows.shape[1]
    own = rows.new_zeros(2 * channels + 1)  # a process without rows adds nothing
    if len(rows) > 0:
        mean = rows.mean(0)  # (C,)
        own[:channels], own[channels:-1], own[-1] = mean, (rows - mean).square().sum(0), len(rows)
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    mean, squares, num_rows = rows.new_zeros(channels), rows.new_zeros(channels), 0
    for part in parts:
        added = int(part[-1])
        if added == 0:
            continue
        distance = part[:channels] - mean  # (C,)
        share = added / (num_rows + added)
        squares = squares + part[channels:-1] + distance.square() * (num_rows * share)
        mean = mean + distance * share
        num_rows += added
    return mean, squares, num_rows


def synchronize_batch_norm(model: nn.Module) -> None:
    """Put a SynchronizedBatchNorm1d, of the same parameters and buffers, in the place of each batch norm, in place.

    For models whose batch norms see (..., C), as all of this package do; the names in the state_dict stay.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in (nn.BatchNorm1d, ChannelsLastBatchNorm1d):
                setattr(parent, name, _synchronized(child))


def _synchronized(module: nn.Module) -> SynchronizedBatchNorm1d:
    assert isinstance(module, nn.BatchNorm1d)
    made = SynchronizedBatchNorm1d(
        module.num_features,
        module.eps,
        module.momentum,
        module.affine,
        module.track_running_stats,
        getattr(module, "variance", "biased"),
        device="meta",
    )
    made._parameters, made._buffers = module._parameters, module._buffers
    return made.train(module.training)
