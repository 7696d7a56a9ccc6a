"""Models that are no network as the native sampler asks them: plain arrays, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from namegen_ext.models.layouts import CountsLayout, GptLayout
from namegen_ext.sampling.sampling_network import Array, Network


@dataclass(frozen=True, eq=False)
class Counts:
    """A counting model.

    Attributes:
        layout: what it is.
        arrays: those of the layout.

    """

    layout: CountsLayout
    arrays: Mapping[str, Array]

    @property
    def block_size(self) -> int:
        """Length of the longest context."""
        return self.layout.block_size

    @property
    def vocab_size(self) -> int:
        """V, the number of symbols, the end marker included."""
        return self.layout.vocab_size

    def is_finite(self) -> bool:
        """Tell whether all its numbers are finite: counts always are."""
        return True


@dataclass(frozen=True, eq=False)
class Gpt:
    """A GPT.

    Attributes:
        layout: what it is.
        eps: of its norms.
        parameters: float32 or float64, all of one dtype, in the order of ``layout.parameters()``.

    """

    layout: GptLayout
    eps: float
    parameters: tuple[Array, ...]

    @property
    def block_size(self) -> int:
        """T, the longest sequence."""
        return self.layout.block_size

    @property
    def vocab_size(self) -> int:
        """V, the number of symbols, the end marker included."""
        return self.layout.vocab_size

    def is_finite(self) -> bool:
        """Tell whether all its numbers are finite."""
        return all(bool(np.isfinite(parameter).all()) for parameter in self.parameters)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Several models, their logits added up by weights; see :class:`namegen_ext.models.Mixture`.

    Attributes:
        block_size: positions of a context.
        components: the models.
        weights: float64 (C,).
        known_keys: int64 (n,), the prefix tree of names that are rarer; see :mod:`namegen_ext.models.known_names`.
        known_adjustments: float64 (n,), what is added to the logits that lead on in the tree.

    """

    block_size: int
    components: tuple[Network | Counts | Gpt | Conditioned, ...]
    weights: Array
    known_keys: Array
    known_adjustments: Array

    @property
    def vocab_size(self) -> int:
        """V, the number of symbols, the end marker included."""
        return self.components[0].vocab_size

    def is_finite(self) -> bool:
        """Tell whether all its numbers are finite."""
        own = (self.weights, self.known_adjustments)
        return all(bool(np.isfinite(array).all()) for array in own) and all(
            component.is_finite() for component in self.components
        )


@dataclass(frozen=True, eq=False)
class Conditioned:
    """Names of one category under a model that was trained on several.

    Attributes:
        base: the model of all categories.
        mark: the number of the category's mark.
        vocab_size: V, the number of symbols without the marks, the end marker included.

    """

    base: Network | Counts | Gpt
    mark: int
    vocab_size: int

    @property
    def block_size(self) -> int:
        """The number of letters in a context."""
        return self.base.block_size - 1

    def is_finite(self) -> bool:
        """Tell whether all its numbers are finite."""
        return self.base.is_finite()


# What the native sampler draws from, without torch.
Predictor = Network | Counts | Gpt | Mixture | Conditioned


def conditioned_predictor(predictor: Predictor, mark: int, num_letters: int) -> Conditioned | Mixture:
    """Make the model of the names of one category; see `Conditioned`. That of a mixture is a mixture of such models."""
    if not isinstance(predictor, Mixture):
        assert not isinstance(predictor, Conditioned)  # a name has one category
        return Conditioned(predictor, mark, num_letters)
    components = []
    for component in predictor.components:
        assert not isinstance(component, Conditioned)
        components.append(Conditioned(component, mark, num_letters))
    keys, places = _below_mark(predictor.known_keys, predictor.vocab_size, mark, num_letters)
    return Mixture(
        predictor.block_size - 1,
        tuple(components),
        predictor.weights,
        keys,
        predictor.known_adjustments[places],
    )


def _below_mark(keys: Array, vocab_size: int, mark: int, num_letters: int) -> tuple[Array, Array]:
    """Take the names of one category out of a prefix tree; see `namegen_ext.models.known_names`.

    Nodes are numbered breadth first, so the nodes of one depth below a node have numbers that follow on each other.

    Args:
        keys: int64 (n,), of names with their marks.
        vocab_size: V, with the marks.
        mark: of the category.
        num_letters: V without the marks.

    Returns:
        The keys (m,) of a tree whose root is the mark's node, and their places (m,) among the given ones.

    """
    root = int(np.searchsorted(keys, mark))
    places: list[Array] = []
    if root < len(keys) and keys[root] == mark:
        first, last = root + 1, root + 2  # the nodes of one depth
        while first < last:
            begin, end = np.searchsorted(keys, [first * vocab_size, last * vocab_size])
            places.append(np.arange(begin, end))
            first, last = int(begin) + 1, int(end) + 1
    found = np.concatenate([np.zeros(0, dtype=np.int64), *places])  # (m,), ascending
    nodes = np.concatenate(
        [[root + 1], found + 1]
    )  # (m + 1,): their old numbers; the new ones are their places
    parents = np.searchsorted(nodes, keys[found] // vocab_size)  # (m,)
    return parents * num_letters + keys[found] % vocab_size, found
