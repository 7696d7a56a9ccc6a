"""Turns words into what a model learns from: windows, or whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from namegen_ext.data import Vocabulary, build_sequences, build_windows
from namegen_ext.data.categories import without_mark
from namegen_ext.models import model_spec

# (tokens int64 (n, block_size), targets int64 (n,)), or targets (n, block_size) for a model over sequences
Windows: TypeAlias = tuple[Tensor, Tensor]


def build_examples(model: str, words: Sequence[str], vocabulary: Vocabulary, block_size: int) -> Windows:
    """Turn words into what a model trains on and is judged by: windows, or whole sequences.

    Args:
        model: a key of :data:`namegen_ext.models.MODELS`.
        words: the words.
        vocabulary: gives the numbers.
        block_size: of the model.

    Raises:
        DataError: a word has a character that is not in the vocabulary.

    """
    build = build_sequences if model_spec(model).sequences else build_windows
    return build(words, vocabulary, block_size)


def example_weights(model: str, words: Sequence[str], weights: Sequence[float], block_size: int) -> Tensor:
    """Return the weights of the examples that `build_examples` makes of some words: each has that of its word.

    Args:
        model: a key of :data:`namegen_ext.models.MODELS`.
        words: the words.
        weights: one for each word.
        block_size: of the model.

    Returns:
        float64 (n,), on the CPU.

    """
    per_word = torch.tensor(weights, dtype=torch.float64, device="cpu")  # (num_words,)
    targets = torch.tensor(
        [len(without_mark(word)) + 1 for word in words], dtype=torch.int64, device="cpu"
    )  # with their ends
    if not model_spec(model).sequences:
        return per_word.repeat_interleave(targets)  # (n,)
    # A sequence for each word, then a window for each character that has no place in it.
    return torch.cat([per_word, per_word.repeat_interleave((targets - block_size).clamp(min=0))])  # (n,)
