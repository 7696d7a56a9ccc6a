"""Runs training steps in the native engine: the backend "fused-step"."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_ext.engine import StepEngine
from namegen_ext.training.weight_average import WeightAverage


class EngineSteps:
    """Runs whole steps, many in one call.

    Args:
        model: one that :class:`namegen_ext.engine.StepEngine` covers.
        optimizer: of the model's parameters.
        tokens: int64 (n, block_size).
        targets: int64 (n,).
        clip_grad_norm: the most that the global norm of the gradients may be; 0 for any.
        average: of the model's weights, which takes up each update; None for none.

    Raises:
        UnsupportedModelError: the engine does not cover the model or the optimizer.

    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        tokens: Tensor,
        targets: Tensor,
        clip_grad_norm: float = 0.0,
        average: WeightAverage | None = None,
    ) -> None:
        self.engine = StepEngine(
            model,
            optimizer,
            clip_grad_norm=clip_grad_norm,
            averages=None if average is None else average.by_parameter(),
        )
        self.average = average
        self.tokens = tokens
        self.targets = targets

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        """Run K steps; see :class:`namegen_ext.training.steps.StepRunner`."""
        shares = None if self.average is None else self.average.shares(len(learning_rates))
        losses = self.engine.run(self.tokens, self.targets, indices, learning_rates, shares)  # (K,)
        if self.average is not None:
            self.average.advance(len(learning_rates))
        return losses.float()

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean loss of many examples; see :class:`namegen_ext.training.steps.StepRunner`."""
        return self.engine.evaluate(tokens, targets)
