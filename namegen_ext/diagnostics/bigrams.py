"""Which symbol follows which: in the words, and by the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models.evaluation_mode import evaluating

_CHUNK = 8192  # this many contexts go through the model at a time


def bigram_counts(words: Sequence[str], vocabulary: Vocabulary) -> Tensor:
    """Count how often each symbol follows each other symbol in the words.

    Args:
        words: the words.
        vocabulary: their V symbols. One is the end marker, which also stands before each word.

    Returns:
        int64 (V, V). The row is the symbol before, the column is the symbol after.

    Raises:
        DataError: a word has a character that is not in the vocabulary.

    """
    size = len(vocabulary)
    tokens, targets = build_windows(words, vocabulary, 1)  # (n, 1), (n,)
    return torch.bincount(tokens[:, 0] * size + targets, minlength=size * size).view(size, size)  # (V, V)


def next_symbol_probabilities(model: nn.Module, contexts: Tensor, vocab_size: int) -> Tensor:
    """Average a model's distribution of the next symbol over all contexts that end in the same symbol.

    For a model that sees only one symbol, this is its table of bigram probabilities. For any other model, it is what
    the model predicts on average when only the last symbol is known.

    Args:
        model: called as ``model.next_logits(contexts)`` where it has this method, as models over sequences do, and as
            ``model(contexts)`` otherwise. It returns logits (n, V), or a tuple that starts with them. It runs in
            evaluation mode, and its own mode is restored.
        contexts: (n, block_size), integers, with the oldest symbol first.
        vocab_size: V.

    Returns:
        float64 (V, V). The row is the last symbol of the context, the column is the next symbol. Each row sums to 1, or
        is all NaN where no context ends in its symbol.

    """
    sums = torch.zeros(vocab_size, vocab_size, dtype=torch.float64)  # (V, V)
    with evaluating(model), torch.no_grad():
        for chunk in contexts.split(_CHUNK):
            output = getattr(model, "next_logits", model)(chunk)
            logits = output[0] if isinstance(output, tuple) else output  # (n, V)
            probabilities = logits.double().softmax(-1).cpu()  # (n, V)
            sums.index_add_(0, chunk[:, -1].cpu(), probabilities)
    counts = torch.bincount(contexts[:, -1].cpu(), minlength=vocab_size)  # (V,)
    return sums / counts.double()[:, None]  # 0 / 0 is NaN
