"""The loss over a whole set of examples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext.data import IGNORED
from namegen_ext.models.evaluation_mode import evaluating

_CHUNK_VALUES = 2**22  # logits of a chunk


def evaluate(model: nn.Module, tokens: Tensor, targets: Tensor, *, chunk_size: int = 8192) -> float | None:
    """Compute the mean negative log-likelihood over all examples, in evaluation mode.

    Every target counts the same, and nothing is sampled. Afterwards each module is in its own mode again.

    Args:
        model: called as ``model(tokens)``; gives logits (n, V), or (n, T, V) for a model over sequences, or a
            tuple that starts with them.
        tokens: int64 (n, block_size).
        targets: int64 (n,), or (n, T) with -1 where nothing is to be predicted.
        chunk_size: how many targets go through the model at a time, at most; fewer for a model of many symbols, so
            that its ``vocab_size`` does not multiply the memory.

    Returns:
        The loss in nats, or None where there are no examples.

    Raises:
        ValueError: ``chunk_size`` is less than 1, or the numbers of tokens and targets differ.

    Example:
        >>> import math
        >>> from namegen_ext.models import NGram
        >>> even = NGram(27, block_size=2)  # its logits are all 0
        >>> loss = evaluate(even, torch.zeros(5, 2, dtype=torch.int64), torch.zeros(5, dtype=torch.int64))
        >>> math.isclose(loss, math.log(27), abs_tol=1e-6)
        True

    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, but got {chunk_size}")
    if len(tokens) != len(targets):
        raise ValueError(f"tokens and targets must be as many, but got {len(tokens)} and {len(targets)}")
    num_targets = int((targets != IGNORED).sum())
    if num_targets == 0:
        return None
    vocab_size = getattr(model, "vocab_size", 1)
    if isinstance(vocab_size, int):
        chunk_size = min(chunk_size, max(1, _CHUNK_VALUES // max(1, vocab_size)))
    with evaluating(model), torch.no_grad():
        return _total_loss(model, tokens, targets, chunk_size) / num_targets


def _total_loss(model: nn.Module, tokens: Tensor, targets: Tensor, chunk_size: int) -> float:
    total = torch.zeros((), dtype=torch.float64, device=targets.device)
    examples = max(1, chunk_size * len(targets) // targets.numel())
    for contexts, following in zip(tokens.split(examples), targets.split(examples), strict=True):
        output = model(contexts)
        logits = output[0] if isinstance(output, tuple) else output  # (n, V) or (n, T, V)
        logits = logits.to(
            torch.promote_types(logits.dtype, torch.float32)
        )  # in bfloat16 the sum would be rounded
        rows = logits.flatten(0, -2)  # (n, V) or (n * T, V)
        losses = F.cross_entropy(rows, following.flatten(), ignore_index=IGNORED, reduction="none")
        total += losses.sum(dtype=torch.float64)
    return float(total)
