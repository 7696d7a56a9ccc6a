"""What is learnt from and what is held out, to choose by: dev, or of a short list all names in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from namegen_ext.data import Splits, Vocabulary, build_windows
from namegen_ext.data.categories import num_categories, without_mark
from namegen_ext.models.mixture import newest_tokens

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
        weights: float64 (n,), how often each counts; None for once.
        has_marks: whether the oldest place of the contexts holds the mark of a category, one place more.

    """

    words: list[str]
    tokens: Tensor
    targets: Tensor
    weights: Tensor | None = None
    has_marks: bool = False

    @classmethod
    def of(
        cls,
        words: Sequence[str],
        vocabulary: Vocabulary,
        block_size: int,
        weights: Sequence[float] | None = None,
    ) -> Examples:
        """Cut names into windows; ``weights`` tells how often each name counts."""
        tokens, targets = build_windows(words, vocabulary, block_size)
        of_windows = None
        if weights is not None:
            lengths = torch.tensor([len(without_mark(word)) + 1 for word in words])  # (words,), with the end
            of_windows = torch.tensor(weights, dtype=torch.float64).repeat_interleave(lengths)  # (n,)
        return cls(list(words), tokens, targets, of_windows, num_categories(vocabulary) > 0)

    def last(self, block_size: int) -> Tensor:
        """Return the contexts of the last ``block_size`` characters, the mark among them: int64 (n, block_size)."""
        return newest_tokens(self.tokens, block_size, has_mark=self.has_marks).contiguous()


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
    train, weights = splits.train, splits.train_weights
    if len(train) < CROSS_FITTED_BELOW:
        for fold in range(FOLDS):
            held = train[fold::FOLDS]
            rest = [word for place, word in enumerate(train) if place % FOLDS != fold]
            of_rest = weights and [weight for place, weight in enumerate(weights) if place % FOLDS != fold]
            if held and rest:
                learnt = Examples.of(rest, vocabulary, block_size, of_rest)
                parts.append(Part(learnt, Examples.of(held, vocabulary, block_size)))
    if splits.dev:
        learnt = Examples.of(train, vocabulary, block_size, weights)
        parts.append(Part(learnt, Examples.of(splits.dev, vocabulary, block_size)))
    return parts
