"""Names from several finished generators: a mixture of their distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

from namegen_ext.data import ListFormat, Splits, Vocabulary
from namegen_ext.data.strings import as_strings
from namegen_ext.sampling.category_models import Part, iter_mixed_names
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.sampling.stream import NameStream
from namegen_ext.scoring.mixed import MixedLikelihood
from namegen_ext.scoring.near import DEFAULT_WITHIN
from namegen_ext.scoring.scorer import NameLikelihood, Scorer
from namegen_ext.scoring.scores import Scores
from namegen_ext.scoring.similar import UnlikeStream
from namegen_ext.scoring.streams import near_names, without_similar
from namegen_ext.steering import take_constraints


class Source(Protocol):
    """What a mix asks of a generator; see `namegen_ext.Generator`."""

    vocabulary: Vocabulary

    @property
    def reading(self) -> ListFormat:
        """How its list was read."""
        ...

    @property
    def words(self) -> list[str]:
        """The names of its list."""
        ...

    @property
    def splits(self) -> Splits:
        """The same, divided."""
        ...

    @property
    def max_length(self) -> int:
        """The number of letters after which a name is cut."""
        ...

    def parts(self, *, by_torch: bool = False) -> list[Part]:
        """Return what names are drawn from."""
        ...

    def likelihood(self, *, shaping: Shaping | None = None, drawn: bool = False) -> NameLikelihood:
        """Return what computes the likelihoods of names."""
        ...


class GeneratorMix:
    """Several generators as one; made by `Generator.mix`.

    Each name is drawn from one of them, chosen by its weight: P(name) is the sum of weight * P(name) over the
    generators. Their alphabets need not be the same.

    Args:
        parts: the generators, each with its weight.

    Raises:
        ValueError: there are none, a weight is not above 0, the weights do not sum to 1, or the generators learnt their
            names in different cases or normal forms.

    """

    def __init__(self, parts: Sequence[tuple[Source, float]]) -> None:
        if not parts:
            raise ValueError("parts must hold a generator with its weight at least, but got none")
        for _, weight in parts:
            is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not is_number or not 0 < weight <= 1:
                raise ValueError(f"parts must have weights above 0, at most 1, but got {weight!r}")
        total = math.fsum(weight for _, weight in parts)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"parts must have weights that sum to 1, but got {total:g}")
        forms = {(part.reading.case, part.reading.normalize) for part, _ in parts}
        if len(forms) > 1:
            raise ValueError(
                f"parts must have learnt names in one case and normal form, but got {sorted(forms)}"
            )
        self._parts = list(parts)
        self._reading = parts[0][0].reading
        self.vocabulary = Vocabulary(
            sorted({letter for part, _ in parts for letter in part.vocabulary.symbols})
        )

    def sample(self, n: int, **options: Any) -> list[str]:
        """Draw n names; the options are those of `Generator.sample`, less ``category``."""
        return self.stream(n, **options).to_list()

    def stream(
        self,
        n: int,
        *,
        novel: bool | str = False,
        max_similarity: float | None = None,
        like: str | None = None,
        within: int = DEFAULT_WITHIN,
        **options: Any,
    ) -> NameStream | UnlikeStream:
        """Draw names one after another; the options are those of `Generator.stream`, less ``category``."""
        if novel not in (False, True, "train"):
            raise ValueError(f"novel must be True, False or 'train', but got {novel!r}")
        options["constraints"] = take_constraints(options, self._reading)
        options["max_length"] = max(part.max_length for part, _ in self._parts)
        options.setdefault("case", self._reading.case)
        options.setdefault("leave_out_cut", True)
        if isinstance(options.get("prefix"), str):
            options["prefix"] = self._reading.as_learnt(options["prefix"])
        options["training_names"] = self._train_words if novel == "train" else self._words
        options["novel"] = novel is not False
        draw: Callable[..., NameStream] = self._draw
        if like is not None:
            if not isinstance(like, str):
                raise ValueError(f"like must be a string, but got {like!r}")
            name = self._reading.as_learnt(like)
            draw = partial(near_names, self._likelihood, self.vocabulary, name, within)
        if max_similarity is None:
            return draw(n, **options)
        return without_similar(draw, n, self._scorer.near, max_similarity, **options)

    def score(self, names: Iterable[str], *, nearest: bool = True) -> Scores:
        """Tell how likely names are under the mixture; see `Generator.score`."""
        return self._scorer.score(as_strings(names), nearest=nearest)

    def rank(self, names: Iterable[str]) -> list[float]:
        """Compare names with the training names of all generators; see `Generator.rank`."""
        return self._scorer.score(as_strings(names), nearest=False).percentile.tolist()

    def nearest(self, name: str) -> tuple[str, int]:
        """Find the nearest name of all lists; see `Generator.nearest`."""
        (found,), (distance,) = self._scorer.near.find(as_strings([name]))
        return found, distance

    def _draw(self, n: int, **options: Any) -> NameStream:
        by_torch = options.get("backend") == "python"
        parts = [
            Part(part.model, part.vocabulary, weight * part.weight)
            for generator, weight in self._parts
            for part in generator.parts(by_torch=by_torch)
        ]
        return iter_mixed_names(parts, n, **options)

    def _likelihood(self, shaping: Shaping | None = None, *, drawn: bool = False) -> NameLikelihood:
        likelihoods = [generator.likelihood(shaping=shaping, drawn=drawn) for generator, _ in self._parts]
        return MixedLikelihood(likelihoods, [weight for _, weight in self._parts])

    @property
    def _scorer(self) -> Scorer:
        return Scorer(self._likelihood(), self._reading.as_learnt, self._words, self._train_words)

    @cached_property
    def _words(self) -> list[str]:
        return [word for part, _ in self._parts for word in part.words]

    @cached_property
    def _train_words(self) -> list[str]:
        return [word for part, _ in self._parts for word in part.splits.train]

    def __repr__(self) -> str:
        return f"GeneratorMix({', '.join(f'{weight:g} of {part!r}' for part, weight in self._parts)})"
