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
    components: tuple[Network | Counts | Gpt, ...]
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


def conditioned_predictor(predictor: Predictor, mark: int, num_letters: int) -> Conditioned:
    """Make the model of the names of one category; see `Conditioned`."""
    assert isinstance(predictor, Network | Counts | Gpt)  # a mixture is not trained on categories
    return Conditioned(predictor, mark, num_letters)
