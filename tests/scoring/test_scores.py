"""Generator.score, .rank and .nearest, and streams without near copies."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edit_distance import edit_distance

from namegen_ext import Generator, fit, load
from namegen_ext.sampling import SamplingError
from namegen_ext.scoring.scores import percentiles


def test_a_row(generator_of: Callable[[str], Generator], words: list[str]) -> None:
    generator = generator_of("mlp")
    word = words[10]
    rows = generator.score([word, "xa?", word.upper() + "b"])
    assert len(rows) == 3
    assert list(rows[0]) == ["name", "nll", "nll_per_character", "percentile", "novel", "nearest", "distance"]
    assert (rows[0]["novel"], rows[0]["nearest"], rows[0]["distance"]) == (False, word, 0)
    assert rows[0]["nll_per_character"] == pytest.approx(rows[0]["nll"] / (len(word) + 1))
    assert rows[1]["nll"] == rows[1]["nll_per_character"] == math.inf
    assert (rows[1]["unknown"], rows[1]["percentile"], rows[1]["novel"]) == ("x", 0.0, True)
    assert rows[-1] == rows[2]
    assert [row["name"] for row in rows] == rows.names == [row["name"] for row in rows[:]]
    assert rows.order()[-1] in (1, 2)
    assert "nearest" not in generator.score([word], nearest=False)[0]
    assert len(generator.score([])) == 0
    with pytest.raises(IndexError):
        rows[3]
    with pytest.raises(TypeError, match="names must be a list of strings"):
        generator.score("anna")


def test_the_percentile(generator_of: Callable[[str], Generator]) -> None:
    values = np.array([0.5, 1.0, 2.0, 5.0, math.inf])
    assert percentiles(values, np.array([1.0, 2.0, 2.0, 4.0])).tolist() == [100, 87.5, 50, 0, 0]
    assert math.isnan(percentiles(values, np.zeros(0))[0])
    generator = generator_of("mlp")
    ranks = generator.rank(generator.splits.train)
    assert np.mean(ranks) == pytest.approx(50)


def test_names_are_brought_to_the_form_in_which_they_were_learnt() -> None:
    generator = fit(["Anna", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gail"], case="title", steps=3, model="mlp")
    found = generator.score(["ANNA", "anna"])
    assert found.nll[0] == found.nll[1]
    assert not found.novel.any()
    assert generator.nearest("HANNA") == ("anna", 1)


def test_of_a_run_directory(
    generator_of: Callable[[str], Generator], words: list[str], tmp_path: Path
) -> None:
    generator = generator_of("wavenet")
    generator.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert loaded.score(words[:20]).nll.tolist() == generator.score(words[:20]).nll.tolist()
    before = loaded.score(words[:1])[0]["nll"]
    next(loaded.model.parameters()).data.mul_(2)  # a model that has changed is scored as it is
    assert loaded.score(words[:1])[0]["nll"] != before


@pytest.mark.parametrize("limit", [0.5, 0.75])
def test_no_near_copies(limit: float, generator_of: Callable[[str], Generator], words: list[str]) -> None:
    generator = generator_of("mlp")
    names = generator.sample(60, seed=4, max_similarity=limit)
    assert len(names) == 60
    for name in names:
        assert all(1 - edit_distance(name, word) / max(len(name), len(word)) <= limit for word in words)
    # They are the names of the plain stream, less those that are too similar.
    stream = generator.stream(60, seed=4, max_similarity=limit, batch_size=100)
    assert list(stream) == names
    counts = stream.counts
    assert counts.names == counts.new == 60
    assert counts.similar > 0
    plain = generator.sample(counts.names + counts.similar, seed=4)
    assert [name for name in plain if name in set(names)] == names


def test_similarity_with_other_filters(generator_of: Callable[[str], Generator], words: list[str]) -> None:
    generator = generator_of("mlp")
    names = generator.sample(30, seed=4, max_similarity=0.8, unique=True, prefix="b", novel="train")
    assert len(set(names)) == 30
    assert all(name.startswith("b") for name in names)
    near = generator.sample(5, seed=4, max_similarity=0.9, like=words[30])
    assert not set(near) & set(words)


def test_a_similarity_that_cannot_be(generator_of: Callable[[str], Generator]) -> None:
    generator = generator_of("mlp")
    for wrong in (-0.1, 1.5, math.nan, "0.5", True):
        with pytest.raises(ValueError, match="max_similarity must be a number from 0 to 1, but got"):
            generator.sample(1, max_similarity=wrong)  # type: ignore[arg-type]
    stream = generator.stream(5, max_similarity=0.0, patience=2000, seed=1, prefix="aaa")
    with pytest.raises(SamplingError, match="found only 0 of 5 names that are at most 0 similar"):
        list(stream)
    assert stream.counts.similar == 2000
