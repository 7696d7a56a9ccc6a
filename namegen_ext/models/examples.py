"""Turns words into what a model learns from: windows, or whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from torch import Tensor

from namegen_ext.data import Vocabulary, build_sequences, build_windows
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
