"""Models of names of one category, made of a model that was trained on several; and names drawn from mixtures.

Such a model takes the mark of the category at the oldest place of its context, or, where it is one over sequences,
behind the start; see `namegen_ext.data.categories`. The marks' own logits are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from namegen_ext.data import Vocabulary
from namegen_ext.data.categories import letters_of, num_categories
from namegen_ext.sampling.api import iter_names
from namegen_ext.sampling.predictors import Conditioned, Predictor, conditioned_predictor
from namegen_ext.sampling.sampler import DEFAULT_TRIES, NameSampler
from namegen_ext.sampling.sampling_arguments import check_count, check_seed, fresh_seed, known_form
from namegen_ext.sampling.sampling_errors import REJECTED, NoChanceError, TooFewAcceptedError
from namegen_ext.sampling.stream import NameSource, NameStream
from namegen_ext.sampling.uniforms import uniforms
from namegen_ext.steering.steering_errors import NoNameError, UnknownLetterError

if TYPE_CHECKING:
    from torch import nn

# Of a mixture, so many names are shared out among its parts together.
_BLOCK = 1024
# Odd numbers without a pattern, which are added to seeds: of the parts, and of rounds of draws.
_PART = 0x9E3779B97F4A7C15
_ROUND = 0xD1B54A32D192ED03

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
    next ones of a stream of its own. Where a part rejects a draw, the part is chosen anew too: so names come from the
    mixture given that they are accepted, whatever the parts' shares of accepted names are.

    Args:
        samplers: one at least; those that reject draws were made with ``once``.
        weights: how often each is chosen.
        tries: give a name up after so many draws, about.

    Attributes:
        vocabulary: the symbols of all of them.

    """

    native = None

    def __init__(
        self, samplers: Sequence[NameSource], weights: Sequence[float], tries: int = DEFAULT_TRIES
    ) -> None:
        self.vocabulary = Vocabulary(
            sorted({symbol for sampler in samplers for symbol in sampler.vocabulary.symbols})
        )
        self._samplers = samplers
        self._tries = tries
        self._accepted = self._tried = 0
        cumulative = np.cumsum(weights)
        self._limits = cumulative[:-1] / cumulative[-1]

    def draw(self, seed: int, first: int, count: int) -> list[str]:
        """Draw names number ``first`` to ``first + count - 1`` of the seed's stream."""
        names: list[str] = []
        begin = first - first % _BLOCK
        for block in range(begin, first + count, _BLOCK):
            try:
                names += self._block(seed, block)
            except TooFewAcceptedError as error:
                error.names = [*names, *error.names][first - begin :]
                if len(error.names) >= count:  # those that are asked for were found
                    return error.names[:count]
                raise
        return names[first - begin :][:count]

    def _block(self, seed: int, first: int) -> list[str]:
        names = np.full(_BLOCK, "", dtype=object)
        wanted = np.arange(_BLOCK)  # (W,), the names not found yet
        round_seed, attempt = seed, 0
        while len(wanted):
            if attempt >= self._tries:
                found = names[: wanted.min()].tolist()
                raise TooFewAcceptedError(found, self._tries, self._accepted, self._tried)
            # Where few names are wanted, each is tried several times together. The first that is accepted counts.
            together = _BLOCK // len(wanted)
            drawn = self._drawn(round_seed, first, len(wanted) * together)  # (W * together,)
            is_accepted = np.array([name != REJECTED for name in drawn]).reshape(len(wanted), together)
            drawn = drawn.reshape(len(wanted), together)
            place = is_accepted.argmax(axis=1)  # (W,)
            is_found = is_accepted.any(axis=1)  # (W,)
            names[wanted[is_found]] = drawn[is_found, place[is_found]]
            self._tried += int(np.where(is_found, place + 1, together).sum())
            self._accepted += int(is_found.sum())
            wanted = wanted[~is_found]
            attempt += together
            round_seed = (round_seed + _ROUND) % 2**64
        return names.tolist()

    def _drawn(self, seed: int, first: int, count: int) -> NDArray[Any]:
        """Draw each of some names from a part that is chosen for it: (count,) strings."""
        chosen = np.searchsorted(self._limits, uniforms(seed, first, count), side="right")  # (count,)
        names = np.full(count, "", dtype=object)
        for number, sampler in enumerate(self._samplers):
            places = np.flatnonzero(chosen == number)
            if len(places):
                # The parts' seeds differ, so that parts that are alike do not draw the same names.
                own_seed = (seed + number * _PART) % 2**64
                names[places] = sampler.draw(own_seed, first, len(places))
        return names


def iter_mixed_names(parts: Sequence[Part], n: int, *, seed: int | None = None, **options: Any) -> NameStream:
    """Draw names from a mixture of distributions; the options are those of `namegen_ext.sampling.iter_names`.

    With constraints, and with a prefix, names come from the mixture given that they meet them: a part's share is its
    weight times how likely its names meet them. A part that has no such names is left out.

    Raises:
        ValueError: an argument that cannot be; the message names it.
        SamplingError: as `iter_names` does.

    """
    if len(parts) == 1:
        return iter_names(parts[0].model, parts[0].vocabulary, n, seed=seed, **options)
    n = check_count(n, minimum=0, name="n")
    of_stream = {name: options.pop(name) for name in _OF_STREAMS if name in options}
    tries = of_stream.get("patience", DEFAULT_TRIES)
    samplers, weights = _samplers(parts, n, tries=tries, **options)
    by_table = all(sampler.method == "table" for sampler in samplers)
    is_constrained = samplers[0].accepted is not None
    total = sum(part.weight for part in parts) * (1.0 if not options.get("prefix") else math.inf)
    return NameStream(
        MixtureSampler(samplers, weights, tries),
        n,
        seed=fresh_seed() if seed is None else check_seed(seed),
        max_length=samplers[0].max_length,
        accepted=sum(weights) / total if is_constrained and by_table and total < math.inf else None,
        **of_stream,
    )


def _samplers(parts: Sequence[Part], n: int, **options: Any) -> tuple[list[NameSampler], list[float]]:
    """Make the samplers of the parts that have such names, and the share of each, which need not sum to 1."""
    samplers: list[NameSampler] = []
    weights: list[float] = []
    plain: list[float] = []  # the parts' own weights
    without: list[Exception] = []  # why parts have no such names
    prefix = options.get("prefix", "")
    for part in parts:
        if not _is_known(prefix, part) and any(_is_known(prefix, other) for other in parts):
            continue
        try:
            sampler = NameSampler(part.model, part.vocabulary, n, once=True, **options)
        except (UnknownLetterError, NoNameError, NoChanceError) as error:
            without.append(error)
            continue
        accepted = 1.0 if sampler.accepted is None else sampler.accepted
        samplers.append(sampler)
        weights.append(part.weight * sampler.prefix_probability() * accepted)
        plain.append(part.weight)
    if not samplers:
        raise without[0]
    # Where no part starts names so by itself, the prefix is put before what each draws.
    return samplers, weights if sum(weights) > 0 else plain


def _is_known(prefix: Any, part: Part) -> bool:
    return not isinstance(prefix, str) or set(known_form(prefix, part.vocabulary)).issubset(
        part.vocabulary.symbols
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
