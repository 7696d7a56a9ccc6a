"""Runs training steps in the native engine: the backend "fused-step"."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_ext.engine import StepEngine


class EngineSteps:
    """Runs whole steps, many in one call.

    Args:
        model: one that :class:`namegen_ext.engine.StepEngine` covers.
        optimizer: of the model's parameters.
        tokens: int64 (n, block_size).
        targets: int64 (n,).

    Raises:
        UnsupportedModelError: the engine does not cover the model or the optimizer.

    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, tokens: Tensor, targets: Tensor
    ) -> None:
        self.engine = StepEngine(model, optimizer)
        self.tokens = tokens
        self.targets = targets

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        """Run K steps; see :class:`namegen_ext.training.steps.StepRunner`."""
        return self.engine.run(self.tokens, self.targets, indices, learning_rates).float()  # (K,)

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean loss of many examples; see :class:`namegen_ext.training.steps.StepRunner`."""
        return self.engine.evaluate(tokens, targets)
