"""Turns counts of windows into probabilities, by add-k or Witten-Bell smoothing, in float64."""

from __future__ import annotations

import torch
from torch import Tensor


def context_numbers(tokens: Tensor, vocab_size: int) -> Tensor:
    """Read each context as a number in base ``vocab_size``, its oldest symbol first.

    Args:
        tokens: (..., block_size), integers in [0, vocab_size).
        vocab_size: V.

    Returns:
        (...) int64, in [0, V**block_size).

    """
    block_size = tokens.shape[-1]
    powers = [vocab_size**place for place in reversed(range(block_size))]
    return (tokens * torch.tensor(powers, dtype=torch.int64, device=tokens.device)).sum(dim=-1)  # (...)


def count_windows(tokens: Tensor, targets: Tensor, vocab_size: int, weights: Tensor | None = None) -> Tensor:
    """Count which symbol follows which context.

    Args:
        tokens: (n, block_size) int64; with block_size 0 there is one context, the empty one.
        targets: (n,) int64.
        vocab_size: V.
        weights: (n,) float64, how often each window counts; None for once each.

    Returns:
        (V**block_size, V) float64, in the order of :func:`context_numbers`.

    """
    num_contexts = vocab_size ** tokens.shape[1]
    pairs = context_numbers(tokens, vocab_size) * vocab_size + targets  # (n,)
    counts = torch.bincount(pairs, weights, minlength=num_contexts * vocab_size)  # (V**block_size * V,)
    return counts.view(num_contexts, vocab_size).double()


def add_k(counts: Tensor, k: float) -> Tensor:
    """Add k to each count and divide each row by its sum.

    Args:
        counts: (contexts, V) float64.
        k: at least 0; with 0 a context that never occurred gets even probabilities.

    Returns:
        (contexts, V) float64; each row sums to 1.

    """
    smoothed = counts + k  # (contexts, V)
    smoothed[smoothed.sum(dim=1) == 0] = 1.0
    return smoothed / smoothed.sum(dim=1, keepdim=True)


def witten_bell(tokens: Tensor, targets: Tensor, vocab_size: int, weights: Tensor | None = None) -> Tensor:
    """Interpolate the orders 0 to ``block_size`` by how many different symbols followed each context.

    P(c | h) = (N(hc) + T(h) P(c | h')) / (N(h) + T(h))

    h' is the context h without its oldest symbol, N counts occurrences, and T(h) is the number of distinct
    symbols seen after h. The empty context backs off to 1 / V. A context that never occurred takes P(c | h').

    Args:
        tokens: (n, block_size) int64.
        targets: (n,) int64.
        vocab_size: V.
        weights: (n,) float64, how often each window counts; None for once each.

    Returns:
        (V**block_size, V) float64; each row sums to 1.

    Source: Witten and Bell, "The zero-frequency problem", 1991, interpolated as in Chen and Goodman, "An
    empirical study of smoothing techniques for language modeling", 1998.

    """
    block_size = tokens.shape[1]
    probabilities = torch.full((1, vocab_size), 1.0 / vocab_size, dtype=torch.float64, device=tokens.device)
    for order in range(block_size + 1):
        counts = count_windows(tokens[:, block_size - order :], targets, vocab_size, weights)  # (V**order, V)
        contexts = torch.arange(len(counts), device=tokens.device)  # (V**order,)
        backed_off = probabilities[contexts % len(probabilities)]  # (V**order, V)
        distinct = (counts > 0).sum(dim=1, keepdim=True)  # (V**order, 1)
        total = counts.sum(dim=1, keepdim=True)  # (V**order, 1)
        seen = total + distinct  # (V**order, 1)
        estimate = (counts + distinct * backed_off) / seen.clamp(min=1.0)  # (V**order, V)
        probabilities = torch.where(seen > 0, estimate, backed_off)
    return probabilities
