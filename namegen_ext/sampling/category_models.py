"""Models of names of one category, made of a model that was trained on several; and names drawn from mixtures.

Such a model takes the mark of the category at the oldest place of its context, or, where it is one over sequences,
behind the start; see `namegen_ext.data.categories`. The marks' own logits are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from namegen_ext.data import Vocabulary
from namegen_ext.data.categories import letters_of, num_categories
from namegen_ext.sampling.api import iter_names
from namegen_ext.sampling.predictors import Conditioned, Predictor, conditioned_predictor
from namegen_ext.sampling.sampler import NameSampler
from namegen_ext.sampling.sampling_arguments import check_count, check_seed, fresh_seed
from namegen_ext.sampling.stream import NameSource, NameStream
from namegen_ext.sampling.uniforms import uniforms

if TYPE_CHECKING:
    from torch import nn

# Of a mixture, so many names are shared out among its parts together.
_BLOCK = 1024

# What iter_names takes and a stream, not a sampler, is told.
_OF_STREAMS = (
    "training_names",
    "novel",
    "unique",
    "count_distinct",
    "patience",
    "batch_size",
    "threads",
    "case",
    "leave_out_cut",
)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a mixture of distributions over names.

    Attributes:
        model: a module, or what `namegen_ext.sampling.predictors` has.
        vocabulary: its symbols.
        weight: how often a name is drawn from it; those of all parts sum to 1.

    """

    model: nn.Module | Predictor
    vocabulary: Vocabulary
    weight: float


def of_category(
    model: nn.Module | Predictor, vocabulary: Vocabulary, number: int
) -> tuple[nn.Module | Predictor, Vocabulary]:
    """Make the model of the names of one category.

    Args:
        model: one that was trained on names with categories.
        vocabulary: its symbols, the marks of the categories the last of them.
        number: of the category, from 0.

    Returns:
        The model, and its vocabulary, which has no marks.

    """
    letters = letters_of(vocabulary)
    mark = len(letters) + number
    if isinstance(model, Predictor):
        return conditioned_predictor(model, mark, len(letters)), letters
    from namegen_ext.models.conditioned import ConditionedModel

    return ConditionedModel(model, mark, len(letters)), letters


class MixtureSampler:
    """Draws each name from one of several samplers, chosen by their weights.

    A name depends on the seed and its place alone: names are shared out 1,024 at a time, and those of each part are the
    next ones of a stream of its own.

    Args:
        samplers: one at least.
        weights: how often each is chosen.

    Attributes:
        vocabulary: the symbols of all of them.

    """

    native = None

    def __init__(self, samplers: Sequence[NameSource], weights: Sequence[float]) -> None:
        self.vocabulary = Vocabulary(
            sorted({symbol for sampler in samplers for symbol in sampler.vocabulary.symbols})
        )
        self._samplers = samplers
        cumulative = np.cumsum(weights)
        self._limits = cumulative[:-1] / cumulative[-1]

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream."""
        names: list[str] = []
        begin = first - first % _BLOCK
        for block in range(begin, first + count, _BLOCK):
            names += self._block(seed, block)
        return names[first - begin :][:count]

    def _block(self, seed: int, first: int) -> list[str]:
        chosen = np.searchsorted(self._limits, uniforms(seed, first, _BLOCK), side="right")  # (_BLOCK,)
        names = [""] * _BLOCK
        for number, sampler in enumerate(self._samplers):
            places = np.flatnonzero(chosen == number).tolist()
            # The parts' seeds differ, so that parts that are alike do not draw the same names.
            own_seed = (seed + number * 0x9E3779B97F4A7C15) % 2**64
            for place, name in zip(places, sampler.draw(own_seed, first, len(places)), strict=True):
                names[place] = name
        return names


def iter_mixed_names(parts: Sequence[Part], n: int, *, seed: int | None = None, **options: Any) -> NameStream:
    """Draw names from a mixture of distributions; the options are those of `namegen_ext.sampling.iter_names`.

    A part is chosen by its weight first, and the name is drawn from it, given the constraints: so the shares of the
    parts are those that were asked for, whatever names are to be.

    Raises:
        ValueError: an argument that cannot be; the message names it.
        SamplingError: as `iter_names` does.

    """
    if len(parts) == 1:
        return iter_names(parts[0].model, parts[0].vocabulary, n, seed=seed, **options)
    n = check_count(n, minimum=0, name="n")
    of_stream = {name: options.pop(name) for name in _OF_STREAMS if name in options}
    samplers = [NameSampler(part.model, part.vocabulary, n, **options) for part in parts]
    return NameStream(
        MixtureSampler(samplers, [part.weight for part in parts]),
        n,
        seed=fresh_seed() if seed is None else check_seed(seed),
        max_length=samplers[0].max_length,
        **of_stream,
    )


def sample_of_all(
    model: nn.Module, vocabulary: Vocabulary, n: int, *, seed: int, **options: Any
) -> list[str]:
    """Draw n names of a model, of all its categories alike where it has such."""
    number = num_categories(vocabulary)
    if number == 0:
        return iter_names(model, vocabulary, n, seed=seed, **options).to_list()
    parts = [Part(*of_category(model, vocabulary, category), 1 / number) for category in range(number)]
    return iter_mixed_names(parts, n, seed=seed, **options).to_list()


__all__ = ["Conditioned", "MixtureSampler", "Part", "iter_mixed_names", "of_category", "sample_of_all"]
