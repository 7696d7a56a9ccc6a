"""The nearest name of a list, against comparing with every one."""

from __future__ import annotations

import random

import pytest
from edit_distance import edit_distance
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.scoring.nearest import NearestNames

NAMES = st.text("abc", max_size=6)


@given(st.lists(NAMES, min_size=1, max_size=12), st.lists(NAMES, max_size=12))
def test_against_every_name(names: list[str], asked: list[str]) -> None:
    found, distances = NearestNames(names).find(asked)
    for name, nearest, distance in zip(asked, found, distances, strict=True):
        assert nearest in names
        assert distance == edit_distance(name, nearest) == min(edit_distance(name, other) for other in names)


@given(
    st.lists(NAMES, min_size=1, max_size=12),
    st.lists(NAMES, max_size=12),
    st.sampled_from([0.0, 0.3, 0.5, 0.7, 0.75, 1.0]),
)
def test_similarity_against_every_name(names: list[str], asked: list[str], limit: float) -> None:
    found = NearestNames(names).is_similar(asked, limit)
    for name, similar in zip(asked, found, strict=True):
        similarities = [
            1 - edit_distance(name, other) / max(len(name), len(other)) if name or other else 1.0
            for other in names
        ]
        assert similar == (max(similarities) > limit)


def test_more_names_than_are_compared_together(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    names = ["".join(draw.choices("abcd", k=draw.randint(1, 9))) for _ in range(60)]
    asked = ["".join(draw.choices("abcd", k=draw.randint(1, 9))) for _ in range(90)]
    at_once = NearestNames(names).find(asked)
    monkeypatch.setattr("namegen_ext.scoring.nearest._DISTANCES", 64)
    assert NearestNames(names).find(asked) == at_once


def test_case_and_accents_do_not_count() -> None:
    nearest = NearestNames(["Zoë", "ANNA"])
    assert nearest.find(["ZOE\u0308", "anna", "zoe"]) == (["Zoë", "ANNA", "Zoë"], [0, 0, 1])
    assert nearest.is_similar(["anna", "Annb"], 0.8).tolist() == [True, False]
    assert nearest.is_similar(["anna"], 1.0).tolist() == [False]


def test_very_long_names() -> None:
    assert NearestNames(["a" * 400, "b"]).find(["a" * 390, "c" * 300]) == (["a" * 400, "b"], [10, 300])


def test_no_names() -> None:
    with pytest.raises(ValueError, match="names must hold a name at least"):
        NearestNames([])
