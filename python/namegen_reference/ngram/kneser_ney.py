"""Counts of every order, where a short history counts in how many longer ones a symbol followed it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from namegen_reference.ngram.model import CountingModel
from namegen_reference.words import END_MARKER, windows

# Of a count of 1, of 2, and of 3 or more.
DEFAULT_DISCOUNTS = (0.7, 1.1, 1.4)
DEFAULT_CONCENTRATION = 0.5


class KneserNey(CountingModel):
    """P(c | h) = (n(hc) - D(n(hc)) + (theta + R(h)) P(c | h')) / (n(h) + theta).

    h' is h without its oldest symbol. n(hc) of the longest histories, and of those that reach back to the start of a
    word, is how often c followed h; of the others it is how many different symbols stood before hc. A word that ends
    in "francisco" five times, always after "san", says little about what follows other words. n(h) is the sum of
    n(hc) over c, and R(h) that of the discounts D. A history that never occurred passes all on; the empty one backs off
    to the uniform distribution.

    Args:
        context: the longest history; 0 or more.
        discounts: D of a count of 1, of 2, and of 3 or more: in [0, 1], [0, 2] and [0, 3].
        concentration: theta, at least 0: larger, and short histories have more to say.
        alphabet: the characters, without the end marker; None takes those of the words fitted.

    Raises:
        ValueError: an argument is out of range.

    Sources: modified Kneser-Ney of Chen and Goodman, "An empirical study of smoothing techniques for language
    modeling", 1999, interpolated; the concentration as in Teh, "A hierarchical Bayesian language model based on
    Pitman-Yor processes", 2006.

    """

    def __init__(
        self,
        context: int,
        discounts: Sequence[float] = DEFAULT_DISCOUNTS,
        concentration: float = DEFAULT_CONCENTRATION,
        alphabet: str | None = None,
    ) -> None:
        if isinstance(context, bool) or not isinstance(context, int) or context < 0:
            raise ValueError(f"context must be an integer of at least 0, but got {context!r}")
        if len(discounts) != 3 or not all(0 <= discounts[i] <= i + 1 for i in range(3)):
            raise ValueError(f"discounts must lie in [0, 1], [0, 2] and [0, 3], but got {discounts!r}")
        if not (math.isfinite(concentration) and concentration >= 0):
            raise ValueError(
                f"concentration must be a finite number of at least 0, but got {concentration!r}"
            )
        super().__init__(context, alphabet)
        self.discounts = tuple(discounts)
        self.concentration = concentration

    def _count(self, words: Sequence[str]) -> None:
        occurrences: Counter[tuple[str, str]] = (
            Counter()
        )  # of (history, symbol), for histories of every length
        for word in words:
            for history, symbol in windows(word, self.context):
                for begin in range(self.context + 1):
                    if _reaches_once(history[begin:]):
                        occurrences[history[begin:], symbol] += 1
        self.counts: Counter[tuple[str, str]] = Counter()  # n(hc)
        for (history, symbol), count in occurrences.items():
            if len(history) == self.context or history.startswith(END_MARKER):
                self.counts[history, symbol] = count
            if history:
                self.counts[history[1:], symbol] += 1  # one more symbol that stood before it
        self.totals: Counter[str] = Counter()  # n(h)
        self.taken: defaultdict[str, float] = defaultdict(float)  # R(h)
        for (history, _), count in self.counts.items():
            self.totals[history] += count
            self.taken[history] += self._discount(count)

    def _discount(self, count: int) -> float:
        return self.discounts[min(count, 3) - 1] if count else 0.0

    def probability(self, history: str, symbol: str) -> float:
        """Return P(symbol | history); see CountingModel."""
        probability = 1 / len(self.symbols)
        for length in range(self.context + 1):  # from the empty history to the whole one
            suffix = history[len(history) - length :]
            total = self.totals[suffix]
            if (
                not total
            ):  # it never occurred, or is as much as a shorter one: it holds more than one start mark
                continue
            count = self.counts[suffix, symbol]
            passed_on = (self.concentration + self.taken[suffix]) * probability
            probability = (count - self._discount(count) + passed_on) / (total + self.concentration)
        return probability


def _reaches_once(history: str) -> bool:
    """Tell whether a history holds the start of the word at its oldest place at most: one mark says it."""
    return END_MARKER not in history[1:]
