"""Counts of n-grams with k added to each: the simplest smoothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from namegen_reference.ngram.model import CountingModel
from namegen_reference.words import windows


class AddK(CountingModel):
    """P(c | h) = (N(hc) + k) / (N(h) + k V), where h are the order - 1 symbols before c.

    V is the number of symbols, including the end marker. A history that never occurred has the uniform distribution.
    That holds for k = 0 too, where it is the limit for k from above. With k = 1 this is Laplace's rule of succession.

    Args:
        order: 1 for unigrams, 2 for bigrams, and so on.
        k: the number that is added to every count; 0 or more.
        alphabet: the characters, without the end marker; None takes the characters of the fitted words.

    Raises:
        ValueError: order is below 1, or k is negative or not finite.

    """

    def __init__(self, order: int, k: float, alphabet: str | None = None) -> None:
        if isinstance(order, bool) or not isinstance(order, int) or order < 1:
            raise ValueError(f"order must be an integer of at least 1, but got {order!r}")
        if not (math.isfinite(k) and k >= 0):
            raise ValueError(f"k must be a finite number of at least 0, but got {k!r}")
        super().__init__(order - 1, alphabet)
        self.order = order
        self.k = k

    def _count(self, words: Sequence[str]) -> None:
        self.pairs: Counter[tuple[str, str]] = Counter()  # N(hc)
        self.histories: Counter[str] = Counter()  # N(h)
        for word in words:
            self.pairs.update(windows(word, self.context))
        for (history, _), count in self.pairs.items():
            self.histories[history] += count

    def probability(self, history: str, symbol: str) -> float:
        """Return P(symbol | history); see CountingModel."""
        num_symbols = len(self.symbols)
        denominator = self.histories[history] + self.k * num_symbols
        if denominator == 0:
            return 1 / num_symbols
        return (self.pairs[history, symbol] + self.k) / denominator
