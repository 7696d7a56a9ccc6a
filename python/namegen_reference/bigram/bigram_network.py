"""The bigram by gradient descent: one linear layer without bias, from a one-hot symbol to logits."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence


def log_softmax(logits: Sequence[float]) -> list[float]:
    """Return the logarithms of the probabilities of the logits.

    The largest logit is subtracted first, so that exp cannot overflow.
    """
    largest = max(logits)
    log_total = math.log(math.fsum(math.exp(logit - largest) for logit in logits))
    return [logit - largest - log_total for logit in logits]


def softmax(logits: Sequence[float]) -> list[float]:
    """Return the probabilities of the logits."""
    return [math.exp(logprob) for logprob in log_softmax(logits)]


class BigramNetwork:
    """A table of logits: the logits of the next symbol are the row of ``weight`` that belongs to the symbol before.

    A one-hot vector times the weight gives the same row. When the network is trained to the end without
    regularisation, the softmax of its rows equals the row-normalised counts: it finds by descent what counting finds at
    once.

    Args:
        num_symbols: V, including the end marker.
        rng: draws the weight from the standard normal distribution.

    Attributes:
        weight: (V, V).

    """

    def __init__(self, num_symbols: int, rng: random.Random) -> None:
        if num_symbols < 1:
            raise ValueError(f"num_symbols must be at least 1, but got {num_symbols!r}")
        self.weight = [[rng.gauss(0, 1) for _ in range(num_symbols)] for _ in range(num_symbols)]

    def probabilities(self) -> list[list[float]]:
        """Return P(next symbol | symbol before) as a table (V, V)."""
        return [softmax(row) for row in self.weight]

    def loss_and_gradient(
        self, counts: Sequence[Sequence[int]], weight_penalty: float
    ) -> tuple[float, list[list[float]]]:
        """Return mean nll + weight_penalty * mean(weight squared), and its gradient with respect to the weight.

        All examples of the same pair of symbols have the same loss. So each of the V*V pairs is computed once and
        weighted by its count, and the full batch costs V*V operations.

        Args:
            counts: (V, V), the training pairs; see ``count_pairs``.
            weight_penalty: pulls the weights towards 0, and so the probabilities towards the uniform distribution.
                Adding a number to every count does the same.

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
                # d nll / d logit is the probability, minus 1 for the symbol that came next.
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
