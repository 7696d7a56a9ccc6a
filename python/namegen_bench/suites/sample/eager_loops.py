"""Drawing names with loops in eager PyTorch, as users of PyTorch write them."""

from __future__ import annotations

import torch
from torch import nn

from namegen_ext.data import Vocabulary
from namegen_ext.models import GPT

_LONGEST = 64  # symbols


@torch.no_grad()
def one_at_a_time(model: nn.Module, vocabulary: Vocabulary, block_size: int, n: int) -> list[str]:
    """Draw n names symbol by symbol, as the makemore lectures do."""
    names = []
    for _ in range(n):
        context = [0] * block_size
        symbols: list[int] = []
        while len(symbols) < _LONGEST:
            logits = _logits(model, torch.tensor([context]))  # (1, V)
            probabilities = torch.softmax(logits, dim=1)
            symbol = int(torch.multinomial(probabilities, 1))
            if symbol == 0:
                break
            symbols.append(symbol)
            context = [*context[1:], symbol]
        names.append(vocabulary.decode(symbols))
    return names


@torch.no_grad()
def batched(model: nn.Module, vocabulary: Vocabulary, block_size: int, n: int) -> list[str]:
    """Draw n names together, one symbol of each in a step. Names that have ended leave the batch.

    It is written to be fast: a step has one forward pass, one softmax and one multinomial, and Python does nothing for
    a single name until the end. A GPT keeps the keys and values of the symbols before, as long as they fit its block.
    """
    contexts = torch.zeros(n, block_size, dtype=torch.int64)  # (n, block_size)
    drawn = torch.zeros(n, _LONGEST, dtype=torch.int64)  # (n, longest)
    going_on = torch.arange(n)  # (m,): the names that have not ended
    gpt = model if isinstance(model, GPT) else None
    cache = None if gpt is None else gpt.new_cache()
    for position in range(_LONGEST):
        if gpt is not None and cache is not None and position < block_size:
            logits = gpt.step(contexts[:, -1], cache)  # (m, V)
        else:
            logits = _logits(model, contexts)  # (m, V)
        symbols = torch.multinomial(torch.softmax(logits, dim=1), 1)  # (m, 1)
        drawn[going_on, position] = symbols[:, 0]
        keep = symbols[:, 0] != 0  # (m,)
        contexts = torch.cat([contexts[:, 1:], symbols], dim=1)[keep]
        going_on = going_on[keep]
        if len(going_on) == 0:
            break
        if cache is not None and position < block_size - 1:
            cache.select(keep.nonzero()[:, 0])
    return [vocabulary.decode(row) for row in drawn.tolist()]


def _logits(model: nn.Module, contexts: torch.Tensor) -> torch.Tensor:
    """Ask the model: (m, block_size) -> (m, V)."""
    logits: torch.Tensor = model.next_logits(contexts) if isinstance(model, GPT) else model(contexts)[0]
    return logits
