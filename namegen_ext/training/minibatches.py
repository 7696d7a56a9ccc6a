"""Chooses the examples of each minibatch, from the seed. They can be read at any step.

- MinibatchIndices: with replacement.
- EpochIndices: each example once before any comes again, in an order drawn anew each time, or as they stand.
- WholeSetIndices: all of them.

Drawn with replacement, examples may have weights, and are then drawn in proportion to them: a uniform number in [0, 1),
times the sum of all weights, is looked up among their running sums. Both are float64 and made on the CPU in one order,
so that every backend sees the same examples.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod

import torch
from torch import Tensor

_LARGEST_BLOCK = 1024  # steps
_LARGEST_BLOCK_INDICES = 2**20  # 8 MiB


class SeededIndices(ABC):
    """The base of the examples that depend on a seed: the sizes, and reading at any step. A subclass adds ``_read``."""

    def __init__(self, seed: int, num_examples: int, batch_size: int) -> None:
        if num_examples < 1:
            raise ValueError(f"num_examples must be at least 1, but got {num_examples}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, but got {batch_size}")
        self.seed = seed
        self.num_examples = num_examples
        self.batch_size = batch_size
        self._generator = torch.Generator()

    def steps(self, start: int, stop: int) -> Tensor:
        """Return the indices of the steps from ``start`` to before ``stop``.

        Returns:
            int64 (stop - start, batch_size), on the CPU.

        Raises:
            ValueError: not 0 <= start <= stop.

        """
        if not 0 <= start <= stop:
            raise ValueError(f"start and stop must satisfy 0 <= start <= stop, but got {start} and {stop}")
        return self._read(start, stop)

    @abstractmethod
    def _read(self, start: int, stop: int) -> Tensor:
        """Return the indices of steps whose numbers are known to be right: (stop - start, batch_size)."""


class MinibatchIndices(SeededIndices):
    """The examples of every step, drawn with replacement, uniformly or in proportion to their weights.

    They depend on the seed, the number of examples, the batch size and the step alone. So every backend and
    device sees the same ones, and a resumed run goes on with those that an uninterrupted one would have seen.
    They are drawn in blocks of steps, each from a generator of its own, so that a later step can be reached
    without drawing the steps before it.

    Args:
        seed: any integer.
        num_examples: number of examples to choose from, at least 1.
        batch_size: number of examples in a step, at least 1.
        weights: float64 (num_examples,), how likely each is against the others; None where all are alike.

    Raises:
        ValueError: ``num_examples`` or ``batch_size`` is less than 1, or the weights are not as many, not finite, below
            0, or all 0.

    Example:
        >>> indices = MinibatchIndices(seed=42, num_examples=1000, batch_size=32)
        >>> indices.steps(10, 13).shape
        torch.Size([3, 32])

    """

    def __init__(self, seed: int, num_examples: int, batch_size: int, weights: Tensor | None = None) -> None:
        super().__init__(seed, num_examples, batch_size)
        self.steps_per_block = max(1, min(_LARGEST_BLOCK, _LARGEST_BLOCK_INDICES // batch_size))
        self._cumulative = None if weights is None else _cumulative(weights, num_examples)
        self._last = num_examples - 1 if weights is None else int(weights.nonzero()[-1])
        self._block_number = -1
        self._block = torch.empty(0, batch_size, dtype=torch.int64)  # (steps_per_block, B)

    def _read(self, start: int, stop: int) -> Tensor:
        parts = [self._block[:0]]
        while start < stop:
            block_number, first = divmod(start, self.steps_per_block)
            count = min(stop - start, self.steps_per_block - first)
            parts.append(self._draw(block_number)[first : first + count])
            start += count
        return torch.cat(parts)  # (stop - start, B)

    def _draw(self, block_number: int) -> Tensor:
        if block_number != self._block_number:
            # random.Random hashes a string with SHA-512, so that neighbouring seeds and blocks are independent.
            mixed = random.Random(f"minibatches {self.seed} {block_number}").getrandbits(63)
            self._generator.manual_seed(mixed)
            shape = (self.steps_per_block, self.batch_size)
            self._block = self._draw_indices(shape)
            self._block_number = block_number
        return self._block  # (steps_per_block, B)

    def _draw_indices(self, shape: tuple[int, int]) -> Tensor:
        if self._cumulative is None:
            return torch.randint(self.num_examples, shape, generator=self._generator)
        uniform = torch.rand(shape, dtype=torch.float64, generator=self._generator)
        # right=True: an example without weight, whose running sum is that of the one before, is never drawn.
        places = torch.searchsorted(self._cumulative, uniform * self._cumulative[-1], right=True)
        return places.clamp_(max=self._last)  # the product may be rounded up to the whole sum


def _cumulative(weights: Tensor, num_examples: int) -> Tensor:
    if weights.shape != (num_examples,):
        raise ValueError(f"weights must be ({num_examples},), but got {tuple(weights.shape)}")
    weights = weights.to("cpu", torch.float64)
    cumulative = weights.cumsum(0)  # (n,)
    if not bool((weights >= 0).all()) or not 0 < float(cumulative[-1]) < float("inf"):
        raise ValueError("weights must be finite numbers of at least 0, and not all 0")
    return cumulative


class EpochIndices(SeededIndices):
    """The examples of every step, taken from one run through all of them after the other.

    A run through the examples (an epoch) takes each once. A step may take the last of one and the first of the next.
    Like :class:`MinibatchIndices` they depend on the seed, the sizes and the step alone, and can be read at any step.

    Args:
        seed: any integer.
        num_examples: number of examples, at least 1.
        batch_size: number of examples in a step, at least 1.
        shuffled: whether each epoch has an order of its own, drawn from the seed; else it is that of the examples.

    Raises:
        ValueError: ``num_examples`` or ``batch_size`` is less than 1.

    Example:
        >>> EpochIndices(seed=42, num_examples=5, batch_size=2, shuffled=False).steps(0, 3).tolist()
        [[0, 1], [2, 3], [4, 0]]

    """

    def __init__(self, seed: int, num_examples: int, batch_size: int, *, shuffled: bool) -> None:
        super().__init__(seed, num_examples, batch_size)
        self.shuffled = shuffled
        self._epoch = -1
        self._order = torch.arange(num_examples)  # (n,), of the epoch

    def _read(self, start: int, stop: int) -> Tensor:
        parts = [self._order[:0]]
        place, end = start * self.batch_size, stop * self.batch_size
        while place < end:
            epoch, first = divmod(place, self.num_examples)
            count = min(end - place, self.num_examples - first)
            parts.append(self._order_of(epoch)[first : first + count])
            place += count
        return torch.cat(parts).view(stop - start, self.batch_size)

    def _order_of(self, epoch: int) -> Tensor:
        if self.shuffled and epoch != self._epoch:
            self._generator.manual_seed(random.Random(f"epoch {self.seed} {epoch}").getrandbits(63))
            self._order = torch.randperm(self.num_examples, generator=self._generator)
            self._epoch = epoch
        return self._order  # (n,)


class WholeSetIndices:
    """All examples in every step, in their order. It takes the place of MinibatchIndices in full-batch training.

    Args:
        num_examples: number of examples, at least 1.

    """

    def __init__(self, num_examples: int) -> None:
        self.num_examples = self.batch_size = num_examples

    def steps(self, start: int, stop: int) -> Tensor:
        """Return the indices of the steps from ``start`` to before ``stop``: int64 (stop - start, n)."""
        return torch.arange(self.num_examples).expand(stop - start, -1)  # (stop - start, n)
