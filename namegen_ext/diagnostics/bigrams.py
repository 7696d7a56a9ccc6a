"""Which symbol follows which: in the words, and by the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models.evaluation_mode import evaluating

_CHUNK = 8192  # this many contexts go through the model at a time, at most
_CHUNK_VALUES = 2**22  # and this many logits come out


def symbol_groups(words: Sequence[str], vocabulary: Vocabulary, most: int) -> Tensor:
    """Number the symbols for tables of at most ``most`` rows.

    Where there are more symbols, the end marker and the most frequent ones have a row each, in the order of the
    vocabulary, and the last row is for all others together.

    Args:
        words: the words by which symbols are counted.
        vocabulary: their V symbols.
        most: at least 3.

    Returns:
        int64 (V,): the number of each symbol's row, ascending from 0 for those with a row of their own.

    """
    size = len(vocabulary)
    if size <= most:
        return torch.arange(size)
    tokens, _ = build_windows(words, vocabulary, 1)  # (n, 1)
    often = torch.bincount(tokens[:, 0], minlength=size)  # (V,)
    often[0] = often.max() + 1  # the end marker always has a row
    shown = often.argsort(descending=True, stable=True)[: most - 1].sort().values  # (most - 1,)
    groups = torch.full((size,), most - 1)
    groups[shown] = torch.arange(most - 1)
    return groups


def bigram_counts(words: Sequence[str], vocabulary: Vocabulary, groups: Tensor | None = None) -> Tensor:
    """Count how often each symbol follows each other symbol in the words.

    Args:
        words: the words.
        vocabulary: their V symbols. One is the end marker, which also stands before each word.
        groups: (V,) int64, see `symbol_groups`; None for a row for each symbol.

    Returns:
        int64 (G, G), of all V symbols or of as many groups. The row is the symbol before, the column is the symbol
        after.

    Raises:
        DataError: a word has a character that is not in the vocabulary.

    """
    if groups is None:
        groups = torch.arange(len(vocabulary))
    size = int(groups.max()) + 1
    tokens, targets = build_windows(words, vocabulary, 1)  # (n, 1), (n,)
    pairs = groups[tokens[:, 0]] * size + groups[targets]  # (n,)
    return torch.bincount(pairs, minlength=size * size).view(size, size)  # (G, G)


def next_symbol_probabilities(
    model: nn.Module, contexts: Tensor, vocab_size: int, groups: Tensor | None = None
) -> Tensor:
    """Average a model's distribution of the next symbol over all contexts that end in the same symbol.

    For a model that sees only one symbol, this is its table of bigram probabilities. For any other model, it is what
    the model predicts on average when only the last symbol is known.

    Args:
        model: called as ``model.next_logits(contexts)`` where it has this method, as models over sequences do, and as
            ``model(contexts)`` otherwise. It returns logits (n, V), or a tuple that starts with them. It runs in
            evaluation mode, and its own mode is restored.
        contexts: (n, block_size), integers, with the oldest symbol first.
        vocab_size: V.
        groups: (V,) int64, see `symbol_groups`; None for a row for each symbol.

    Returns:
        float64 (G, G), of all V symbols or of as many groups. The row is the last symbol of the context, the column is
        the next symbol. Each row sums to 1, or is all NaN where no context ends in its symbol.

    """
    if groups is None:
        groups = torch.arange(vocab_size)
    size = int(groups.max()) + 1
    sums = torch.zeros(size, size, dtype=torch.float64)  # (G, G)
    last = groups[contexts[:, -1].cpu()]  # (n,)
    chunk_size = min(_CHUNK, max(1, _CHUNK_VALUES // vocab_size))
    with evaluating(model), torch.no_grad():
        for chunk, rows in zip(contexts.split(chunk_size), last.split(chunk_size), strict=True):
            output = getattr(model, "next_logits", model)(chunk)
            logits = output[0] if isinstance(output, tuple) else output  # (n, V)
            probabilities = logits.double().softmax(-1).cpu()  # (n, V)
            grouped = torch.zeros(len(chunk), size, dtype=torch.float64)  # (n, G)
            sums.index_add_(0, rows, grouped.index_add_(1, groups, probabilities))
    counts = torch.bincount(last, minlength=size)  # (G,)
    return sums / counts.double()[:, None]  # 0 / 0 is NaN
