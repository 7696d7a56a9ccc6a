"""Batch norm for a batch that is spread over several processes. The rows of all processes count."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from namegen_ext.nn.channels_last_batch_norm import ChannelsLastBatchNorm1d


class SynchronizedBatchNorm1d(ChannelsLastBatchNorm1d):
    """A ChannelsLastBatchNorm1d that in training takes its statistics over the batches of all processes.

    torch.nn.SyncBatchNorm does this on GPUs only. Here each process sends its mean and its sum of squared deviations.
    Every process merges them in the order of the ranks, so that the statistics have the same bits everywhere. The
    backward pass adds up the two sums of the gradient over the processes. The gradients of weight and bias are those of
    the process's own rows, as the gradients of all other parameters are.

    Args:
        The arguments are those of :class:`namegen_ext.nn.ChannelsLastBatchNorm1d`.

    Shape:
        - x: (..., C), floating point.
        - result: the shape and dtype of x.

    Raises:
        ValueError: in training, all processes together have one value per channel.

    Source: for the merging, Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances", 1979.

    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale and shift x (..., C). The result has the shape of x."""
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
    """The operation. Its forward and its backward pass each need one exchange between the processes."""

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
        # v = squares / divisor has the derivative dv/dx = 2 * (x - mean) / divisor. The mean is over all rows.
        centred = dy - total[0] / ctx.num_rows - normalised * (total[1] / ctx.divisor)  # (n, C)
        return centred * (weight * scale), own[1], own[0], None, None


def _statistics(rows: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return the mean (C,), the sum of squared deviations (C,) and the number of the rows (n, C) of all processes."""
    channels = rows.shape[1]
    own = rows.new_zeros(2 * channels + 1)  # stays 0 for a process without rows, so that it adds nothing
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
    """Replace each batch norm of a model, in place, by a SynchronizedBatchNorm1d with the same parameters and buffers.

    The batch norms of the model must see (..., C), as those of all models of this package do. The names in the
    state_dict do not change.
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
