"""Computes the loss over many examples. Each distinct context is computed once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_CHUNK_CONTEXTS = 16384
_CHUNK_VALUES = 2**22  # logits of a chunk, where there are many symbols


def mean_loss(
    logits_of: Callable[[Tensor], Tensor], tokens: Tensor, targets: Tensor, vocab_size: int
) -> float | None:
    """Compute the mean negative log-likelihood in nats; None where there are no examples.

    Args:
        logits_of: contexts (n, block_size) -> logits (n, V).
        tokens: integers (n, block_size).
        targets: integers (n,).
        vocab_size: V.

    Raises:
        IndexError: a token or a target lies outside [0, V).
        ValueError: the numbers of tokens and targets differ.

    """
    if len(tokens) != len(targets):
        raise ValueError(f"tokens and targets must be as many, but got {len(tokens)} and {len(targets)}")
    if len(targets) == 0:
        return None
    for name, symbols in (("tokens", tokens), ("targets", targets)):
        if symbols.min() < 0 or symbols.max() >= vocab_size:
            raise IndexError(
                f"{name} must be in [0, {vocab_size}), but got {symbols.min()} to {symbols.max()}"
            )
    contexts, numbers = distinct_contexts(tokens, vocab_size)  # (m, block_size), (n,)
    # The pairs of a context and a target that occur, and how often each does.
    pairs, counts = torch.unique(numbers * vocab_size + targets, return_counts=True)  # (p,), (p,)
    following = pairs // vocab_size  # (p,): the context's number, ascending
    total = 0.0
    chunk = min(_CHUNK_CONTEXTS, max(1, _CHUNK_VALUES // vocab_size))
    for first in range(0, len(contexts), chunk):
        end = min(first + chunk, len(contexts))
        log_probabilities = logits_of(contexts[first:end]).double().log_softmax(dim=1)  # (end - first, V)
        low, high = torch.searchsorted(
            following, torch.tensor([first, end], device=following.device)
        ).tolist()
        rows = following[low:high] - first
        nll = -log_probabilities[rows, pairs[low:high] % vocab_size]  # (high - low,)
        total += float((nll * counts[low:high]).sum())
    return total / len(targets)


def distinct_contexts(tokens: Tensor, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Find the distinct rows.

    Args:
        tokens: integers (n, block_size) in [0, vocab_size).
        vocab_size: V.

    Returns:
        The distinct rows (m, block_size), and for each row its number among them: int64 (n,).

    """
    block_size = tokens.shape[1]
    if vocab_size**block_size < 2**63:
        # Rows are read as numbers in base V, because sorting numbers is several times faster than sorting rows.
        places = reversed(range(block_size))
        powers = torch.tensor([vocab_size**place for place in places], device=tokens.device)
        keys, numbers = torch.unique((tokens * powers).sum(dim=1), return_inverse=True)  # (m,), (n,)
        return keys[:, None] // powers % vocab_size, numbers
    rows, numbers = torch.unique(tokens, dim=0, return_inverse=True)
    return rows, numbers
