"""Names near a given one: the model's own distribution, as rejection draws it, over all strings that are so near."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from edit_distance import edit_distance

from namegen_ext import Generator
from namegen_ext.sampling import SamplingError
from namegen_ext.scoring.near import strings_within


@pytest.mark.parametrize("name", ["", "a", "ab", "aab", "xa", "axb"])
@pytest.mark.parametrize("within", [1, 2, 3])
def test_all_strings_within_a_distance(name: str, within: int) -> None:
    every = {
        "".join(letters)
        for length in range(len(name) + within + 1)
        for letters in product("ab", repeat=length)
    }
    assert strings_within(name, "ab", within) == {
        other for other in every if edit_distance(name, other) <= within
    }


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.7}, {"top_k": 5}, {"prefix": "a", "top_k": 4}], ids=str
)
@pytest.mark.parametrize("kind", ["mlp", "gpt"])
def test_the_distribution_is_the_models_own(
    kind: str, options: dict[str, object], generator_of: Callable[[str], Generator]
) -> None:
    """The names that rejection leaves of all names, and those drawn near the given one."""
    generator = generator_of(kind)
    number = 60_000 if kind == "mlp" else 6_000
    accepted = Counter(
        name
        for name in generator.sample(number, seed=1, **options)
        if edit_distance(name, "ab") <= 1  # type: ignore[arg-type]
    )
    drawn = Counter(generator.sample(20_000, seed=2, like="ab", within=1, **options))  # type: ignore[arg-type]
    assert accepted.keys() <= drawn.keys() | {name for name, count in accepted.items() if count < 5}
    assert all(edit_distance(name, "ab") <= 1 for name in drawn)
    a, b = sum(accepted.values()), sum(drawn.values())
    # Two samples of one distribution: chi-squared over the names that are common enough, the rest as one.
    common = [name for name in drawn if drawn[name] * a / (a + b) >= 8 and accepted[name] + drawn[name] >= 20]
    pairs = [(accepted[name], drawn[name]) for name in common]
    rest = (a - sum(x for x, _ in pairs), b - sum(y for _, y in pairs))
    if sum(rest) >= 20:
        pairs.append(rest)
    assert len(pairs) >= 3
    chi_squared = sum((x * math.sqrt(b / a) - y * math.sqrt(a / b)) ** 2 / (x + y) for x, y in pairs)
    freedom = len(pairs) - 1
    assert chi_squared < freedom + 4.5 * math.sqrt(2 * freedom) + 6  # beyond the 0.9999 quantile


def test_seeds_novel_and_unique(generator_of: Callable[[str], Generator], words: list[str]) -> None:
    generator = generator_of("mlp")
    name = words[40]
    names = generator.sample(500, seed=9, like=name)
    assert names[:50] == generator.sample(50, seed=9, like=name)
    assert list(generator.stream(500, seed=9, like=name, batch_size=37)) == names
    novel = generator.sample(50, seed=9, like=name, novel=True, unique=True)
    assert len(set(novel)) == 50
    assert not set(novel) & set(words)


def test_no_name_is_near(generator_of: Callable[[str], Generator]) -> None:
    generator = generator_of("mlp")
    with pytest.raises(
        SamplingError, match="no name that starts with 'c' lies within an edit distance of 1 of 'xyz'"
    ):
        generator.sample(1, like="xyz", within=1, prefix="c")
    with pytest.raises(SamplingError, match="found only"):
        generator.sample(10**4, like="a", within=1, unique=True, seed=1)
    with pytest.raises(ValueError, match="within must be an edit distance from 1 to 3, but got 4"):
        generator.sample(1, like="ab", within=4)
    with pytest.raises(ValueError, match="within must be an integer of at least 1, but got 0"):
        generator.sample(1, like="ab", within=0)
    with pytest.raises(ValueError, match="like must be a string, but got 5"):
        generator.sample(1, like=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="within must leave at most 5,000,000 strings"):
        generator.sample(1, like="abcde" * 30, within=3)


def test_the_share_of_all_probability(generator_of: Callable[[str], Generator]) -> None:
    from namegen_ext.scoring.near import NearSampler

    generator = generator_of("mlp")
    sampler = NearSampler(generator.likelihood(drawn=True), generator.vocabulary, "ab", within=1)
    nll = generator.score(sampler.names, nearest=False).nll
    empty = np.exp(-generator.score([""]).nll[0])  # which is never drawn
    assert sampler.share == pytest.approx(np.exp(-nll).sum() / (1 - empty))
