"""The base of what runs the training steps of one model in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from namegen_ext.training.torch_optimizers import update_function
from namegen_ext.training.weight_average import WeightAverage
from namegen_ext.training.whole_set_loss import evaluate


class ModelSteps:
    """Holds what steps need, whichever way they are computed. A subclass adds ``run``.

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
        self._prepare()

    def _prepare(self) -> None:
        """Make what all steps share. A subclass that shares more than the arguments makes it here."""

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean loss of many examples; see :class:`namegen_ext.training.steps.StepRunner`."""
        return evaluate(self.model, tokens, targets)

    def _run_autograd(self, loss_of: Callable[[int], Tensor], learning_rates: Sequence[float]) -> Tensor:
        """Run backward, clipping and update after the forward of each step.

        Args:
            loss_of: computes the loss, a scalar, of the step with the given number, from 0 on.
            learning_rates: the K learning rates.

        Returns:
            The losses (K,), on the model's device.

        """
        losses = []
        update = update_function(self.optimizer)
        for step, learning_rate in enumerate(learning_rates):
            for parameter in self.parameters:
                parameter.grad = None
            loss = loss_of(step)
            loss.backward()
            if self.clip_grad_norm > 0:
                torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_grad_norm)
            update(learning_rate)
            if self.average is not None:
                self.average.update()
            losses.append(loss.detach())
        return torch.stack(losses)  # (K,)
