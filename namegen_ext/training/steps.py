"""Runs training steps through autograd: the backends "stock" and "fused-layers"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from namegen_ext.training.torch_optimizers import update_function
from namegen_ext.training.weight_average import WeightAverage
from namegen_ext.training.whole_set_loss import evaluate


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


class AutogradSteps:
    """Runs forward, backward and update for one minibatch after another.

    A step of 32 examples takes a few hundred microseconds. So the examples of all K steps are gathered at once, and
    their losses go to Python at once.

    Args:
        model: called as ``model(tokens, targets)``, returns (logits, loss).
        optimizer: of the model's parameters.
        tokens: int64 (n, block_size), on the model's device.
        targets: int64 (n,), on the model's device.
        clip_grad_norm: the most that the global norm of the gradients may be; 0 for any.
        average: of the model's weights, which takes up each update; None for none.

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
        self.model = model
        self.optimizer = optimizer
        self.tokens = tokens
        self.targets = targets
        self.clip_grad_norm = clip_grad_norm
        self.average = average
        self.parameters = list(model.parameters())

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        """Run K steps; see :class:`StepRunner`."""
        indices = indices.to(self.tokens.device)
        tokens = self.tokens[indices]  # (K, B, block_size)
        targets = self.targets[indices]  # (K, B)
        losses = []
        update = update_function(self.optimizer)
        for step, learning_rate in enumerate(learning_rates):
            for parameter in self.parameters:
                parameter.grad = None
            _, loss = self.model(tokens[step], targets[step])
            loss.backward()
            if self.clip_grad_norm > 0:
                torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_grad_norm)
            update(learning_rate)
            if self.average is not None:
                self.average.update()
            losses.append(loss.detach())
        return torch.stack(losses).cpu()  # (K,)

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean loss of many examples; see :class:`StepRunner`."""
        return evaluate(self.model, tokens, targets)
