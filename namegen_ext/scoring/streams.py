"""Streams of names chosen by what they resemble: near a given name, or unlike those of a list."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from namegen_ext.data import Vocabulary
from namegen_ext.sampling.sampler import DEFAULT_MAX_LENGTH
from namegen_ext.sampling.sampling_arguments import (
    check_count,
    check_prefix,
    check_seed,
    check_temperature,
    check_top_k,
    fresh_seed,
)
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.sampling.stream import DEFAULT_BATCH_SIZE, DEFAULT_PATIENCE, NameStream
from namegen_ext.scoring.near import NearSampler, check_within
from namegen_ext.scoring.nearest import NearestNames
from namegen_ext.scoring.scorer import NameLikelihood
from namegen_ext.scoring.similar import FIRST_BATCH, UnlikeStream
from namegen_ext.steering import Constraints, demand_of

# More names than are ever drawn.
_ENDLESS = 2**60


def near_names(
    likelihood: Callable[..., NameLikelihood],
    vocabulary: Vocabulary,
    name: str,
    within: int,
    n: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    prefix: str = "",
    seed: int | None = None,
    max_length: int = DEFAULT_MAX_LENGTH,
    training_names: Collection[str] = (),
    novel: bool = False,
    unique: bool = False,
    count_distinct: bool = False,
    patience: int = DEFAULT_PATIENCE,
    batch_size: int | None = None,
    case: str = "keep",
    constraints: Constraints | None = None,
    **others: Any,
) -> NameStream:
    """Draw names near a given one; see `NearSampler`.

    Args:
        likelihood: makes what computes likelihoods, by a shaping and whether names are ``drawn``.
        vocabulary: the model's symbols.
        name: the given one, as the model knows names.
        within: the largest edit distance, 1 to 3.
        n: how many names.
        temperature: see `namegen_ext.sampling.iter_names`, as for all that follow.
        top_k: the same.
        prefix: the same.
        seed: the same.
        max_length: the same.
        training_names: the same.
        novel: the same.
        unique: the same.
        count_distinct: the same.
        patience: the same.
        batch_size: the same.
        case: the same.
        constraints: the same.
        others: options that choose how names are drawn, "method", "backend" and "threads", and "leave_out_cut": of no
            effect here. A name near another one is whole.

    Raises:
        ValueError: an argument that cannot be; the message names it.
        SamplingError: no name can be drawn.

    """
    unknown = others.keys() - {"method", "backend", "threads", "leave_out_cut"}
    if unknown:
        raise ValueError(f"{min(unknown)} cannot be combined with like")
    n = check_count(n, minimum=0, name="n")
    within = check_within(within)
    temperature = check_temperature(temperature)
    made = likelihood(Shaping(temperature, top_k), drawn=not prefix)
    if top_k is not None:
        check_top_k(top_k, len(vocabulary))
    check_prefix(prefix, vocabulary, max_length)
    accepts = None
    if constraints is not None and not constraints.is_empty:
        demand = demand_of(constraints, vocabulary, prefix=prefix, max_length=max_length)
        max_length = len(prefix) + demand.letters

        def accepts(near: str) -> bool:
            return demand.automaton.accepts(vocabulary.encode(near[len(prefix) :]))

    sampler = NearSampler(
        made, vocabulary, name, within=within, prefix=prefix, max_length=max_length, accepts=accepts
    )
    return NameStream(
        sampler,
        n,
        seed=fresh_seed() if seed is None else check_seed(seed),
        training_names=training_names,
        novel=novel,
        unique=unique,
        count_distinct=count_distinct,
        patience=check_count(patience, minimum=1, name="patience"),
        batch_size=batch_size,
        case=case,
    )


def without_similar(
    draw: Callable[..., NameStream],
    n: int,
    nearest: NearestNames,
    max_similarity: float,
    *,
    seed: int | None = None,
    patience: int = DEFAULT_PATIENCE,
    **options: Any,
) -> UnlikeStream:
    """Draw names that are not too similar to any of a list.

    Args:
        draw: draws as many names as it is asked for, with options.
        n: how many names.
        nearest: the list.
        max_similarity: 0 to 1.
        seed: that of ``draw``; None for a new one.
        patience: give up once so many names in a row had to be left out.
        options: those of ``draw``.

    Raises:
        ValueError: an argument that cannot be; the message names it.

    """
    is_number = isinstance(max_similarity, (int, float)) and not isinstance(max_similarity, bool)
    if not is_number or not 0 <= max_similarity <= 1:
        raise ValueError(f"max_similarity must be a number from 0 to 1, but got {max_similarity!r}")
    n = check_count(n, minimum=0, name="n")
    seed = fresh_seed() if seed is None else check_seed(seed)
    options.setdefault("batch_size", min(DEFAULT_BATCH_SIZE, max(FIRST_BATCH, 2 * n)))
    names = draw(_ENDLESS, seed=seed, patience=patience, **options)
    return UnlikeStream(names, n, nearest, float(max_similarity), patience=patience)
