"""The base of the models over a window of characters: one nn.Sequential from tokens to logits, and the loss."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext.models.distribution_model import check_contexts
from namegen_ext.models.initial_weights import fill_layers, unfilled
from namegen_ext.models.schemes import SCHEMES
from namegen_ext.nn import ChannelsLastBatchNorm1d


class WindowModel(nn.Module):
    """Predicts the character that follows a window of ``block_size`` ones.

    A subclass sets ``vocab_size`` V, ``block_size``, ``init`` and ``net``.

    Attributes:
        net: stock layers from tokens (B, block_size) to logits (B, V).

    """

    vocab_size: int
    block_size: int
    init: str
    net: nn.Sequential

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew by the scheme ``init``: embedding first, then layer by layer."""
        fill_layers(self.net, SCHEMES[self.init], generator)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Compute the logits of the next character and, given the right ones, the loss.

        Args:
            tokens: (..., block_size), integers in [0, vocab_size), oldest character first.
            targets: (...), int64, the characters that follow; or None.

        Returns:
            The logits (..., vocab_size), and the mean negative log-likelihood in nats (a scalar; None
            without targets). Where ``torch.jit.trace`` calls it without targets, the logits alone.

        Raises:
            ValueError: the last dimension of ``tokens`` is not ``block_size``.
            IndexError: a token lies outside [0, vocab_size).

        """
        check_contexts(tokens, self.block_size)
        if tokens.dim() != 2:  # nn.BatchNorm1d takes one batch dimension only
            flat_targets = None if targets is None else targets.reshape(-1)  # (B,)
            rows = self.net(tokens.reshape(-1, self.block_size))  # (B, V)
            loss = None if flat_targets is None else F.cross_entropy(rows, flat_targets)
            return result_of_call(rows.view(*tokens.shape[:-1], self.vocab_size), loss)
        logits = self.net(tokens)  # (B, V)
        return result_of_call(logits, None if targets is None else F.cross_entropy(logits, targets))


def result_of_call(logits: Tensor, loss: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return what a model's forward gives; where ``torch.jit.trace`` calls it without targets, the logits alone.

    A traced function can give tensors, and tuples of them, but no None.
    """
    if loss is None and torch.jit.is_tracing():
        alone: Any = logits  # not what the annotation says
        return alone
    return logits, loss


def hidden_layers(
    fan_in: int, hidden_size: int, *, bias: bool, batch_norm: bool, variance: str, channels_last: bool
) -> list[nn.Module]:
    """Make Linear, batch norm where asked for, and Tanh; the linear layer's weights are not set yet.

    Args:
        fan_in: inputs of the linear layer.
        hidden_size: its outputs.
        bias: whether it adds a bias.
        batch_norm: whether it is normalised before the tanh.
        variance: "biased" or "unbiased": the variance of a batch that it is divided by.
        channels_last: whether inputs have positions before the channels, (B, T, C); else (B, C).

    """
    # unfilled leaves the weights unset, so that torch's global generator is not used. fill_layers draws them later.
    layers: list[nn.Module] = [unfilled(nn.Linear, fan_in, hidden_size, bias=bias)]
    if batch_norm and not channels_last and variance == "biased":
        layers.append(nn.BatchNorm1d(hidden_size))
    elif batch_norm:
        layers.append(ChannelsLastBatchNorm1d(hidden_size, variance=variance))
    layers.append(nn.Tanh())
    return layers
