"""The loss over a whole set of examples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def evaluate(model: nn.Module, tokens: Tensor, targets: Tensor, *, chunk_size: int = 8192) -> float | None:
    """Compute the mean negative log-likelihood over all examples, in evaluation mode.

    Every target counts the same, and nothing is sampled. Afterwards each module is in the mode it came in.

    Args:
        model: called as ``model(tokens)``; gives logits (n, V), or a tuple that starts with them.
        tokens: int64 (n, block_size).
        targets: int64 (n,).
        chunk_size: how many examples go through the model at a time.

    Returns:
        The loss in nats, or None where there are no examples.

    Raises:
        ValueError: ``chunk_size`` is less than 1, or the numbers of tokens and targets differ.

    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, but got {chunk_size}")
    if len(tokens) != len(targets):
        raise ValueError(f"tokens and targets must be as many, but got {len(tokens)} and {len(targets)}")
    if len(targets) == 0:
        return None
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            return _total_loss(model, tokens, targets, chunk_size) / len(targets)
    finally:
        for module, training in modes:
            module.training = training


def _total_loss(model: nn.Module, tokens: Tensor, targets: Tensor, chunk_size: int) -> float:
    total = torch.zeros((), dtype=torch.float64, device=targets.device)
    for contexts, following in zip(tokens.split(chunk_size), targets.split(chunk_size), strict=True):
        output = model(contexts)
        logits = output[0] if isinstance(output, tuple) else output  # (n, V)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # bfloat16 would round the sum
        losses = F.cross_entropy(logits, following, reduction="none")  # (n,)
        total += losses.sum(dtype=torch.float64)
    return float(total)
