"""Runs training steps in several processes, each on its share of every minibatch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from namegen_ext.data import IGNORED
from namegen_ext.training.process_group import ProcessGroup, lost_processes
from namegen_ext.training.steps import AutogradSteps
from namegen_ext.training.weight_average import WeightAverage
from namegen_ext.training.whole_set_loss import evaluate


class DistributedSteps:
    """Runs the steps of one of several processes. Gradients and losses are those of the whole batch, up to rounding.

    DistributedDataParallel averages the gradients of the processes. So each loss, a mean over a share of the batch,
    is weighted by how large that share is, which need not be even: by its examples, or for a model over sequences by
    the targets that are not ignored.

    Args:
        model: of stock or fused layers, whose batch norms are synchronised; called as ``model(tokens, targets)``.
        optimizer: of the model's parameters.
        tokens: int64 (n, block_size), all examples, on the model's device.
        targets: int64 (n,), or (n, block_size) with -1 where nothing is to be predicted.
        group: this process among the others.
        clip_grad_norm: the most that the global norm of the gradients may be; 0 for any.
        average: of the model's weights, which takes up each update; None for none. All processes have the same.

    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        tokens: Tensor,
        targets: Tensor,
        group: ProcessGroup,
        clip_grad_norm: float = 0.0,
        average: WeightAverage | None = None,
    ) -> None:
        self.model = model
        self.group = group
        # How many targets each example has, on the CPU as the indices are.
        self._counts = (targets != IGNORED).reshape(len(targets), -1).sum(dim=1).cpu()  # (n,)
        with warnings.catch_warnings(), lost_processes():
            # It warns that buffers are not sent at the start either. They are the same in all processes already.
            warnings.simplefilter("ignore", FutureWarning)
            replica = DistributedDataParallel(model, broadcast_buffers=False)
        self._weighted = _WeightedLoss(replica)
        self._steps = AutogradSteps(self._weighted, optimizer, tokens, targets, clip_grad_norm, average)

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        """Run K steps; see :class:`namegen_ext.training.steps.StepRunner`.

        Raises:
            ProcessLostError: another process has ended.

        """
        share = self.group.share_of(indices.shape[1])
        counts = self._counts[indices].double()  # (K, B)
        weights = counts[:, share.start : share.stop].sum(dim=1) * self.group.size / counts.sum(dim=1)  # (K,)
        self._weighted.weights = iter(weights.tolist())
        with lost_processes():
            losses = self._steps.run(indices[:, share.start : share.stop], learning_rates)  # (K,)
        return self.group.add_up(losses) / self.group.size  # (K,)

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean loss of many examples, in this process alone."""
        return evaluate(self.model, tokens, targets)


class _WeightedLoss(nn.Module):
    """A model whose loss is multiplied by a number, another one in each step."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.weights: Iterator[float] = iter(())

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits, loss = self.model(tokens, targets)
        return logits, loss * next(self.weights)
