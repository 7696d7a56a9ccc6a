"""Names are compared whatever their case and the writing of their accents."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.data.folding import fold_name, folded_characters

ALIKE = [
    ("Mary", "MARY"),
    ("Zoë", "ZOE\u0308"),
    ("Straße", "STRASSE"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("ệ", "e\u0302\u0323"),
    ("각", "\u1100\u1161\u11a8"),
    ("St. Ives", "st. ives"),
]
APART = [("zoe", "zoë"), ("mary", "marie"), ("o'brien", "obrien"), ("anna", "anna ")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_alike(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_apart(one: str, other: str) -> None:
    assert fold_name(one) != fold_name(other)


TEXTS = st.text(
    st.characters(exclude_categories=("Cs",)) | st.sampled_from("aé\u0301\u0323\u0302ßΣςİ각"), max_size=12
)


@given(TEXTS)
def test_it_is_unicodes_caseless_matching(text: str) -> None:
    """Which decomposes the whole text before the case is folded: U+0345 alone comes out at another place."""
    if "\u0345" not in unicodedata.normalize("NFD", text):
        whole = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
        assert fold_name(text) == whole


@given(TEXTS, TEXTS)
def test_lines_may_be_folded_together(first: str, second: str) -> None:
    folded = fold_name(f"{first}\n{second}\n")
    assert folded == f"{fold_name(first)}\n{fold_name(second)}\n"


def test_characters_that_stay_have_no_entries() -> None:
    assert folded_characters("abc. '") == ([], [], [])
    assert folded_characters("aB\u0301ế") == (
        [ord("B"), 0x301, ord("ế"), ord("ế"), ord("ế")],
        [ord("b"), 0x301, ord("e"), 0x302, 0x301],
        [0, 230, 0, 230, 230],
    )
