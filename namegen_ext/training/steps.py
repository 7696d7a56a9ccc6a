"""Runs training steps through autograd: the backends "stock" and "fused-layers"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from namegen_ext.training.model_steps import ModelSteps


class StepRunner(Protocol):
    """Runs training steps: what the training loop needs of a backend."""

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        """Run K steps and return their losses, each taken before its update.

        Args:
            indices: int64 (K, batch_size), on the CPU: the examples of each step.
            learning_rates: the K learning rates.

        Returns:
            The losses in nats: float32 (K,), on the CPU.

        """

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean loss over whole splits; see :func:`namegen_ext.training.whole_set_loss.evaluate`."""


class AutogradSteps(ModelSteps):
    """Runs forward, backward and update for one minibatch after another.

    A step of 32 examples takes a few hundred microseconds. So the examples of all K steps are gathered at once, and
    their losses go to Python at once. The arguments are those of the base class.
    """

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        """Run K steps; see :class:`StepRunner`."""
        indices = indices.to(self.tokens.device)
        tokens = self.tokens[indices]  # (K, B, block_size)
        targets = self.targets[indices]  # (K, B)

        def loss_of(step: int) -> Tensor:
            loss: Tensor
            _, loss = self.model(tokens[step], targets[step])
            return loss

        return self._run_autograd(loss_of, learning_rates).cpu()  # (K,)
