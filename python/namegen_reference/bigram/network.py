"""The bigram by gradient descent: one linear layer without bias, from a one-hot symbol to logits."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence


def log_softmax(logits: Sequence[float]) -> list[float]:
    """Return the logarithms of the probabilities that belong to the logits.

    The largest logit is subtracted first, so that exp cannot overflow.
    """
    largest = max(logits)
    log_total = math.log(math.fsum(math.exp(logit - largest) for logit in logits))
    return [logit - largest - log_total for logit in logits]


def softmax(logits: Sequence[float]) -> list[float]:
    """Return the probabilities that belong to the logits."""
    return [math.exp(logprob) for logprob in log_softmax(logits)]


class BigramNetwork:
    """Logits of the next symbol = the row of ``weight`` that belongs to the symbol before.

    That row is what a one-hot vector times the weight gives. Trained to the end without regularisation, the
    softmax of the rows comes to the row-normalised counts: the network finds by descent what counting finds
    at once.

    Args:
        num_symbols: V, the end marker counted.
        rng: draws the weight, standard normal.

    Attributes:
        weight: (V, V).

    """

    def __init__(self, num_symbols: int, rng: random.Random) -> None:
        if num_symbols < 1:
            raise ValueError(f"num_symbols must be at least 1, but got {num_symbols!r}")
        self.weight = [[rng.gauss(0, 1) for _ in range(num_symbols)] for _ in range(num_symbols)]

    def probabilities(self) -> list[list[float]]:
        """Return P(next symbol | symbol before): (V, V)."""
        return [softmax(row) for row in self.weight]

    def loss_and_gradient(
        self, counts: Sequence[Sequence[int]], weight_penalty: float
    ) -> tuple[float, list[list[float]]]:
        """Return mean nll + weight_penalty * mean(weight squared), and its derivative by the weight.

        All examples with the same symbol before and the same one after have the same loss, so each of the V*V
        pairs is computed once and weighed by its count: the full batch costs V*V operations.

        Args:
            counts: (V, V), the training pairs, see ``count_pairs``.
            weight_penalty: pulls the weights to 0, and so the probabilities to uniform, as adding to every
                count does.

        Returns:
            The loss, and the gradient (V, V).

        """
        num_examples = sum(map(sum, counts))
        num_weights = sum(map(len, self.weight))
        losses, gradient = [], []
        for row, row_counts in zip(self.weight, counts, strict=True):
            row_total = sum(row_counts)
            row_gradient = []
            for logit, logprob, count in zip(row, log_softmax(row), row_counts, strict=True):
                losses.append(-count * logprob / num_examples)
                losses.append(weight_penalty * logit**2 / num_weights)
                # d nll / d logit is the probability, less 1 for the symbol that came.
                of_nll = (row_total * math.exp(logprob) - count) / num_examples
                row_gradient.append(of_nll + 2 * weight_penalty * logit / num_weights)
            gradient.append(row_gradient)
        return math.fsum(losses), gradient

    def train(
        self,
        counts: Sequence[Sequence[int]],
        steps: int,
        learning_rate: float = 50.0,
        weight_penalty: float = 0.01,
    ) -> list[float]:
        """Take full-batch gradient steps; return the loss before each of them and after the last."""
        losses = []
        for _ in range(steps):
            loss, gradient = self.loss_and_gradient(counts, weight_penalty)
            losses.append(loss)
            for row, row_gradient in zip(self.weight, gradient, strict=True):
                for column, derivative in enumerate(row_gradient):
                    row[column] -= learning_rate * derivative
        losses.append(self.loss_and_gradient(counts, weight_penalty)[0])
        return losses
