"""Counts of every order, mixed: long histories where they are known, shorter ones where they are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from namegen_reference.ngram.model import CountingModel
from namegen_reference.words import windows


class WittenBell(CountingModel):
    """P(c | h) = (N(hc) + T(h) P(c | h')) / (N(h) + T(h)).

    h' is h without its oldest symbol, and T(h) is the number of distinct symbols that were seen after h. Where many
    different symbols came after h, much of the probability is left to the shorter history. A history that never
    occurred leaves all of it to the shorter one, and the empty history backs off to the uniform distribution.

    Args:
        context: the length of the longest history; 0 or more.
        alphabet: the characters, without the end marker; None takes the characters of the fitted words.

    Raises:
        ValueError: context is negative or not an integer.

    Source: method C of Witten and Bell, "The zero-frequency problem", 1991, in its interpolated form.

    """

    def __init__(self, context: int, alphabet: str | None = None) -> None:
        if isinstance(context, bool) or not isinstance(context, int) or context < 0:
            raise ValueError(f"context must be an integer of at least 0, but got {context!r}")
        super().__init__(context, alphabet)

    def _count(self, words: Sequence[str]) -> None:
        self.pairs: Counter[tuple[str, str]] = Counter()  # N(hc), for histories of every length
        self.histories: Counter[str] = Counter()  # N(h)
        self.distinct: Counter[str] = Counter()  # T(h)
        longest: Counter[tuple[str, str]] = Counter()
        for word in words:
            longest.update(windows(word, self.context))
        for (history, symbol), count in longest.items():
            for begin in range(
                self.context + 1
            ):  # the history, then what is left of it without its oldest symbols
                self.pairs[history[begin:], symbol] += count
        for (history, _), count in self.pairs.items():
            self.histories[history] += count
            self.distinct[history] += 1

    def probability(self, history: str, symbol: str) -> float:
        """Return P(symbol | history); see CountingModel."""
        probability = 1 / len(self.symbols)
        for length in range(self.context + 1):  # from the empty history to the whole one
            suffix = history[len(history) - length :]
            distinct = self.distinct[suffix]
            if distinct:  # otherwise the suffix never occurred, and neither did a longer one
                count = self.pairs[suffix, symbol]
                probability = (count + distinct * probability) / (self.histories[suffix] + distinct)
        return probability
