"""Which words a model learns from, and which it is judged on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from namegen_ext.data.errors import DataError, shorten

# The fewest words of which 80/10/10 leaves one at least in each part: int(0.8 * 6) = 4, int(0.9 * 6) = 5.
MIN_WORDS = 6


@dataclass(frozen=True)
class Splits:
    """The words in three parts.

    A word that stands in the list more than once may stand in more than one part.

    Attributes:
        train: the words to learn from.
        dev: the words to choose settings by.
        test: the words to judge the final model by.

    """

    train: list[str]
    dev: list[str]
    test: list[str]

    @cached_property
    def unseen_dev(self) -> list[str]:
        """The dev words that do not stand in ``train``, in their order and with their repeats."""
        return self._unseen(self.dev)

    @cached_property
    def unseen_test(self) -> list[str]:
        """The test words that do not stand in ``train``, in their order and with their repeats."""
        return self._unseen(self.test)

    def _unseen(self, part: list[str]) -> list[str]:
        seen = set(self.train)
        return [word for word in part if word not in seen]


def split_words(words: Sequence[str], seed: int = 42) -> Splits:
    """Shuffle the words and cut them into 80, 10 and 10 percent.

    Seed 42 is the split of Andrej Karpathy's makemore lectures (2022): ``random.seed(42)``,
    ``random.shuffle(words)``, cuts at ``int(0.8 * n)`` and ``int(0.9 * n)``. The same seed gives the same
    split in every version of Python that the package supports.

    Args:
        words: the words; left as they are.
        seed: decides which word goes into which part; torch's and Python's global generators are left alone.

    Raises:
        TypeError: ``words`` is one string, or the seed is not an integer.
        DataError: there are fewer than six words, so that a part would be empty.

    """
    if isinstance(words, str):
        raise TypeError(f"words must be a list of strings, but got the string {shorten(words)}")
    if not isinstance(seed, int):
        raise TypeError(f"seed must be an integer, but got {seed!r}")
    num_words = len(words)
    if num_words < MIN_WORDS:
        raise DataError(
            f"a split into train, dev and test words needs at least {MIN_WORDS} words, but got {num_words}"
        )
    shuffled = list(words)
    random.Random(seed).shuffle(shuffled)
    dev_begin, test_begin = int(0.8 * num_words), int(0.9 * num_words)
    return Splits(
        train=shuffled[:dev_begin],
        dev=shuffled[dev_begin:test_begin],
        test=shuffled[test_begin:],
    )
