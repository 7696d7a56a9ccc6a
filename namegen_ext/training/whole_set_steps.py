"""Runs steps over all examples at once through autograd, with equal contexts computed once: full-batch training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_ext.engine.engine_evaluation import distinct_contexts
from namegen_ext.models.window_model import WindowModel
from namegen_ext.training.torch_optimizers import update_function
from namegen_ext.training.weight_average import WeightAverage
from namegen_ext.training.whole_set_loss import evaluate


class WholeSetSteps:
    """Runs forward, backward and update over a whole set of examples.

    The loss of a set depends on its distinct contexts alone, and on how often each target follows each of them:

        loss = -sum over pairs (c, t) of count(c, t) / n * log_softmax(logits(c))[t]

    So only the distinct contexts go through the model.

    Args:
        model: see :meth:`serves`.
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
        self.clip_grad_norm = clip_grad_norm
        self.average = average
        self.model = model
        self.optimizer = optimizer
        self.parameters = list(model.parameters())
        vocab_size = int(targets.max()) + 1 if len(targets) else 1
        self.contexts, numbers = distinct_contexts(
            tokens, max(vocab_size, int(tokens.max()) + 1)
        )  # (m, block_size)
        pairs, counts = torch.unique(numbers * vocab_size + targets, return_counts=True)  # (p,), (p,)
        self.rows, self.following = pairs // vocab_size, pairs % vocab_size  # (p,), (p,)
        self.shares = counts.double() / len(targets)  # (p,), their sum is 1

    @staticmethod
    def serves(model: nn.Module) -> bool:
        """Tell whether each example's logits depend on its context alone: no batch norm, and nothing drawn."""
        return isinstance(model, WindowModel) and not any(
            isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.Dropout) for layer in model.modules()
        )

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        """Run K steps over all examples; the indices (K, n) are not looked at.

        See :class:`namegen_ext.training.steps.StepRunner`.
        """
        losses = []
        update = update_function(self.optimizer)
        for learning_rate in learning_rates:
            for parameter in self.parameters:
                parameter.grad = None
            logits, _ = self.model(self.contexts)  # (m, V)
            log_probabilities = logits.log_softmax(dim=1)  # (m, V)
            loss = -(log_probabilities[self.rows, self.following] * self.shares.to(logits.dtype)).sum()
            loss.backward()
            if self.clip_grad_norm > 0:
                torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_grad_norm)
            update(learning_rate)
            if self.average is not None:
                self.average.update()
            losses.append(loss.detach())
        return torch.stack(losses).float().cpu()  # (K,)

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean loss of many examples; see :class:`namegen_ext.training.steps.StepRunner`."""
        return evaluate(self.model, tokens, targets)
