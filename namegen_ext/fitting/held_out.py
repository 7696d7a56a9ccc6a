"""What is learnt from and what is held out, to choose by: dev, or of a short list all names in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from namegen_ext.data import Splits, Vocabulary, build_windows

# Below so many training names dev says too little: the training names are held out in turn too.
CROSS_FITTED_BELOW = 600
FOLDS = 5


@dataclass(frozen=True)
class Examples:
    """Windows of names.

    Attributes:
        words: the names.
        tokens: int64 (n, block_size), the characters before each, zeros before the start of a name.
        targets: int64 (n,), the characters that follow; 0 is the end of a name.

    """

    words: list[str]
    tokens: Tensor
    targets: Tensor

    @classmethod
    def of(cls, words: Sequence[str], vocabulary: Vocabulary, block_size: int) -> Examples:
        """Cut names into windows."""
        tokens, targets = build_windows(words, vocabulary, block_size)
        return cls(list(words), tokens, targets)

    def last(self, block_size: int) -> Tensor:
        """Return the contexts of the last ``block_size`` characters: int64 (n, block_size)."""
        return self.tokens[:, self.tokens.shape[1] - block_size :].contiguous()


@dataclass(frozen=True)
class Part:
    """Names to learn from, and others to judge what was learnt.

    Attributes:
        train: the names to learn from.
        held_out: the others.

    """

    train: Examples
    held_out: Examples


def held_out_parts(splits: Splits, vocabulary: Vocabulary, block_size: int) -> list[Part]:
    """Divide the training names where there are few.

    The dev names are held out of all training names, and stand last. Of a short list five parts come before: a fifth of
    the training names each, held out of the others. The test names are in none.

    """
    parts = []
    train = splits.train
    if len(train) < CROSS_FITTED_BELOW:
        for fold in range(FOLDS):
            held = [word for place, word in enumerate(train) if place % FOLDS == fold]
            rest = [word for place, word in enumerate(train) if place % FOLDS != fold]
            if held and rest:
                parts.append(_part(rest, held, vocabulary, block_size))
    if splits.dev:
        parts.append(_part(train, splits.dev, vocabulary, block_size))
    return parts


def _part(train: list[str], held_out: list[str], vocabulary: Vocabulary, block_size: int) -> Part:
    return Part(Examples.of(train, vocabulary, block_size), Examples.of(held_out, vocabulary, block_size))
