"""Divides a list of words into those that a model learns from and those that it is judged on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from namegen_ext.data.data_errors import DataError, shorten

# With fewer words one of the three parts would be empty: int(0.8 * 6) = 4, int(0.9 * 6) = 5.
MIN_WORDS = 6

# The ways to divide a list: 80, 10 and 10 percent; as makemore.py does it; or not at all.
SPLITS = ("80-10-10", "makemore", "all")

_MAKEMORE_TEST_WORDS = 1000  # at most; a tenth of a shorter list


@dataclass(frozen=True)
class Splits:
    """The words in three parts.

    A word that stands in the list more than once may stand in more than one part.

    Attributes:
        train: the words to learn from.
        dev: the words to choose settings by.
        test: the words to judge the final model by.
        train_weights: how often each word of ``train`` counts; None where each counts once. Words of dev and test count
            once each: they judge the model by words that it may not have seen, of which the commonest would say all.

    Example:
        >>> Splits(train=["anna", "ben"], dev=["ben", "cleo"], test=["dan"]).unseen_dev
        ['cleo']

    """

    train: list[str]
    dev: list[str]
    test: list[str]
    train_weights: list[float] | None = None

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


def split_words(
    words: Sequence[str], seed: int = 42, scheme: str = "80-10-10", weights: Sequence[float] | None = None
) -> Splits:
    """Shuffle the words and cut them into train, dev and test: by default 80, 10 and 10 percent.

    Seed 42 is the split of Andrej Karpathy's makemore lectures (2022): ``random.seed(42)``,
    ``random.shuffle(words)``, cuts at ``int(0.8 * n)`` and ``int(0.9 * n)``. The same seed gives the same
    split in every version of Python that the package supports.

    The scheme "makemore" is that of his makemore.py: the words are put into the order of ``torch.randperm``,
    the last 1,000 of them (a tenth of a shorter list) are the test words, the others the training words, and
    there are no dev words. makemore.py itself takes the seed 3407. "all" makes all words training words, in
    their order. No scheme needs torch.

    Args:
        words: the words; left as they are.
        seed: decides which word goes into which part; torch's and Python's global generators are left alone.
        scheme: one of :data:`SPLITS`.
        weights: how often each word counts; it has no influence on which part a word goes into.

    Raises:
        TypeError: ``words`` is one string, or the seed is not an integer.
        ValueError: ``scheme`` is unknown.
        DataError: there are fewer than six words, so that a part would be empty.

    Example:
        >>> splits = split_words(["anna", "ben", "cleo", "dan", "eva", "finn", "gail", "hugo", "ines", "jo"])
        >>> len(splits.train), splits.dev, splits.test
        (8, ['anna'], ['ben'])

    """
    if isinstance(words, str):
        raise TypeError(f"words must be a list of strings, but got the string {shorten(words)}")
    if not isinstance(seed, int):
        raise TypeError(f"seed must be an integer, but got {seed!r}")
    if scheme not in SPLITS:
        raise ValueError(f"scheme must be one of {', '.join(SPLITS)}, but got {scheme!r}")
    if scheme == "all":
        return Splits(list(words), [], [], None if weights is None else list(weights))
    num_words = len(words)
    if num_words < MIN_WORDS:
        raise DataError(
            f"a split into train, dev and test words needs at least {MIN_WORDS} words, but got {num_words};"
            ' --split all (split="all") trains on all of them'
        )
    if scheme == "makemore":
        order = torch_permutation(num_words, seed)
        test_begin = num_words - min(_MAKEMORE_TEST_WORDS, max(1, int(num_words * 0.1)))
        dev_begin = test_begin
    else:
        order = list(range(num_words))
        random.Random(seed).shuffle(order)
        dev_begin, test_begin = int(0.8 * num_words), int(0.9 * num_words)
    shuffled = [words[index] for index in order]
    return Splits(
        train=shuffled[:dev_begin],
        dev=shuffled[dev_begin:test_begin],
        test=shuffled[test_begin:],
        train_weights=None if weights is None else [weights[index] for index in order[:dev_begin]],
    )


def torch_permutation(n: int, seed: int) -> list[int]:
    """Return ``torch.randperm(n, generator=torch.Generator().manual_seed(seed))``, without torch.

    Element i is swapped with element i + random % (n - i), for i from 0 to n - 2. The random numbers are the 32-bit
    words of MT19937, seeded by the low 32 bits of the seed; numpy's RandomState draws the same ones.

    Args:
        n: from 0, below 2**32 // 20. From there on torch draws 64 bits at a time.
        seed: any integer.

    Source: torch's randperm_cpu (aten/src/ATen/native/TensorFactories.cpp); Matsumoto and Nishimura, "Mersenne
        Twister", 1998.

    """
    import numpy as np

    order = list(range(n))
    if n < 2:
        return order
    words = np.random.RandomState(seed & 0xFFFFFFFF).randint(
        0, 2**32, size=n - 1, dtype=np.uint32
    )  # (n - 1,)
    steps = words % np.arange(n, 1, -1, dtype=np.uint32)  # (n - 1,): random % (n - i)
    for i, step in enumerate(steps.tolist()):
        order[i], order[i + step] = order[i + step], order[i]
    return order
