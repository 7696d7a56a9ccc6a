"""Runs training steps in the native engine: the backend "fused-step"."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from namegen_ext.engine import StepEngine
from namegen_ext.training.model_steps import ModelSteps


class EngineSteps(ModelSteps):
    """Runs whole steps, many in one call.

    The arguments are those of the base class. The model is one that :class:`namegen_ext.engine.StepEngine` covers.

    Raises:
        UnsupportedModelError: the engine does not cover the model or the optimizer.

    """

    def _prepare(self) -> None:
        self.engine = StepEngine(
            self.model,
            self.optimizer,
            clip_grad_norm=self.clip_grad_norm,
            averages=None if self.average is None else self.average.by_parameter(),
        )

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
