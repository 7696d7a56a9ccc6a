"""Runs steps over all examples at once through autograd, with equal contexts computed once: full-batch training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_ext.engine.engine_evaluation import distinct_contexts
from namegen_ext.models.window_model import WindowModel
from namegen_ext.training.model_steps import ModelSteps


class WholeSetSteps(ModelSteps):
    """Runs forward, backward and update over a whole set of examples.

    The loss of a set depends on its distinct contexts alone, and on how often each target follows each of them:

        loss = -sum over pairs (c, t) of count(c, t) / n * log_softmax(logits(c))[t]

    So only the distinct contexts go through the model. The arguments are those of the base class; for the models see
    :meth:`serves`.
    """

    def _prepare(self) -> None:
        tokens, targets = self.tokens, self.targets
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

        def loss_of(step: int) -> Tensor:
            logits, _ = self.model(self.contexts)  # (m, V)
            log_probabilities = logits.log_softmax(dim=1)  # (m, V)
            return -(log_probabilities[self.rows, self.following] * self.shares.to(logits.dtype)).sum()

        return self._run_autograd(loss_of, learning_rates).float().cpu()  # (K,)
