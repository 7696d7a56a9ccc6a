"""Scores names under a model, and beside the names that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from namegen_ext.data.folding import fold_name
from namegen_ext.scoring.nearest import NearestNames
from namegen_ext.scoring.scores import Scores, percentiles


class NameLikelihood(Protocol):
    """What gives names their negative log-likelihoods; see `Likelihood.nll`."""

    def nll(self, names: Sequence[str], *, given: int = 0) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Compute them, in nats, with the first unknown letter of names that have one."""
        ...


class Scorer:
    """Scores names.

    Args:
        likelihood: of the model.
        as_learnt: brings a name to the form in which the model knows names.
        words: the names of the list, as they were learnt.
        train_words: those of them that the model was trained on.

    """

    def __init__(
        self,
        likelihood: NameLikelihood,
        as_learnt: Callable[[str], str],
        words: Collection[str],
        train_words: Collection[str],
    ) -> None:
        self._likelihood = likelihood
        self._as_learnt = as_learnt
        self._words = words
        self._train_words = train_words

    def score(self, names: Sequence[str], *, nearest: bool = True) -> Scores:
        """Score names; with ``nearest`` also find the nearest name of the list of each.

        Raises:
            SamplingError: the model's logits are not all finite.
            ImportError: ``nearest``, and rapidfuzz is not installed.

        """
        names = list(names)
        learnt = [self._as_learnt(name) for name in names]
        nll, unknown = self._likelihood.nll(learnt)  # (n,)
        per_character = nll / (np.array([len(name) for name in learnt], dtype=np.int64) + 1)  # (n,)
        found: tuple[list[str], list[int]] | tuple[None, None] = (None, None)
        if nearest:
            found = self.near.find(learnt)
        return Scores(
            names,
            nll,
            per_character,
            percentiles(per_character, self._training),
            np.array([fold_name(name) not in self._folded for name in learnt], dtype=bool),
            found[0],
            found[1],
            unknown,
        )

    @cached_property
    def near(self) -> NearestNames:
        """The names of the list, to compare others with."""
        return NearestNames(self._words)

    @cached_property
    def _folded(self) -> frozenset[str]:
        return frozenset(map(fold_name, self._words))

    @cached_property
    def _training(self) -> NDArray[np.float64]:
        """The nll per character of each training name, ascending."""
        names = list(self._train_words)
        nll, _ = self._likelihood.nll(names)  # (n,)
        return np.sort(nll / (np.array([len(name) for name in names], dtype=np.int64) + 1))
