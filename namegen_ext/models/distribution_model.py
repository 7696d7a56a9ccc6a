"""The base of the models whose logits are the logarithms of probabilities, and the contexts of all models."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn


class DistributionModel(nn.Module, ABC):
    """Predicts the character that follows a window of ``block_size`` ones, by probabilities in float64.

    A subclass sets ``vocab_size`` V and ``block_size``, and has ``log_probabilities``.
    """

    vocab_size: int
    block_size: int

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Compute the log-probabilities of the next character and, given the right ones, the loss.

        Args:
            tokens: (..., block_size), integers in [0, vocab_size), oldest character first.
            targets: (...), int64, the characters that follow; or None.

        Returns:
            The logarithms of the probabilities (..., vocab_size), float64, and the mean negative log-likelihood in nats
            (a scalar; None without targets).

        Raises:
            ValueError: the last dimension of ``tokens`` is not ``block_size``.
            IndexError: a token lies outside [0, vocab_size).

        """
        check_contexts(tokens, self.block_size)
        logits = self.log_probabilities(tokens.reshape(-1, self.block_size))  # (n, V)
        loss = None if targets is None else F.cross_entropy(logits, targets.reshape(-1))
        return logits.view(*tokens.shape[:-1], self.vocab_size), loss

    @abstractmethod
    def log_probabilities(self, tokens: Tensor) -> Tensor:
        """Compute the logarithms of the probabilities of the next character.

        Args:
            tokens: (n, block_size), integers in [0, vocab_size).

        Returns:
            (n, vocab_size), float64.

        Raises:
            IndexError: a token lies outside [0, vocab_size).

        """


def check_contexts(tokens: Tensor, block_size: int) -> None:
    """Accept tokens (..., block_size).

    Raises:
        ValueError: the last dimension is another, or there is none.

    """
    if tokens.dim() == 0 or tokens.shape[-1] != block_size:
        raise ValueError(
            f"tokens must be (..., {block_size}), the last dimension being block_size,"
            f" but got {tuple(tokens.shape)}"
        )
