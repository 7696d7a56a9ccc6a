"""What can be asked of names, and the automaton of all of it."""

from __future__ import annotations

import re
import unicodedata
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namegen_ext.data import Vocabulary
from namegen_ext.steering import ConstraintError, Constraints, demand_of

VOCABULARY = Vocabulary("abc")
LONGEST = 6
WORDS = ["".join(letters) for length in range(1, LONGEST + 1) for letters in product("abc", repeat=length)]


def meets(word: str, constraints: Constraints) -> bool:
    """The definition, word by word."""
    return (
        len(word) >= (constraints.min_length or 1)
        and len(word) <= (constraints.max_length or LONGEST)
        and word.endswith(constraints.suffix)
        and constraints.contains in word
        and not set(word) & set(constraints.without)
        and (constraints.match is None or re.fullmatch(constraints.match, word) is not None)
        and not any(text.casefold() in word.casefold() for text in constraints.avoid)
    )


def accepted(constraints: Constraints, prefix: str = "") -> list[str]:
    """The words that the automaton of a demand accepts, their prefix before them."""
    demand = demand_of(constraints, VOCABULARY, prefix=prefix, max_length=LONGEST)
    unrolled = demand.automaton.unrolled(demand.letters)
    assert (unrolled.next.max(axis=1, initial=-1) != 0).all()
    found = []
    for word in WORDS:
        if word.startswith(prefix):
            rest = VOCABULARY.encode(word[len(prefix) :])
            is_accepted = demand.automaton.accepts(rest) and len(rest) <= demand.letters
            assert unrolled.accepts(rest) == is_accepted, (constraints, word)
            found += [word] if is_accepted else []
    assert max(len(word) - len(prefix) for word in found) == demand.letters
    return found


TEXTS = st.text("abc", max_size=3)
CONSTRAINTS = st.builds(
    Constraints,
    min_length=st.none() | st.integers(1, 5),
    max_length=st.none() | st.integers(1, LONGEST),
    suffix=TEXTS,
    contains=TEXTS,
    without=st.sampled_from(["", "a", "bc", "x"]),
    match=st.none()
    | st.sampled_from([".*", "a.*", "[ab]+c?", "(ab|c)*", ".{2,4}", "[^a]*a?[^a]*", "(a|b|c){3}"]),
    avoid=st.lists(st.text("abAB", min_size=1, max_size=3), max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(CONSTRAINTS, st.text("abc", max_size=2))
def test_the_automaton_accepts_what_meets_the_constraints(constraints: Constraints, prefix: str) -> None:
    expected = [word for word in WORDS if word.startswith(prefix) and meets(word, constraints)]
    if expected:
        assert accepted(constraints, prefix) == expected
    else:
        with pytest.raises(ValueError, match=r"^no name of at most . letters can have "):
            demand_of(constraints, VOCABULARY, prefix=prefix, max_length=LONGEST)


def test_an_automaton_is_minimal() -> None:
    demand = demand_of(Constraints(match="(a|b|c)*a(a|b|c)?|a|.a"), VOCABULARY, max_length=LONGEST)
    assert demand.automaton.size == 3  # whether the last letter, and the one before it, is an a


def test_every_letter_leads_on_in_an_unrolled_automaton() -> None:
    demand = demand_of(Constraints(suffix="ab"), VOCABULARY, max_length=LONGEST)
    unrolled = demand.automaton.unrolled(demand.letters)
    rows = range(unrolled.size)
    assert all(target == -1 or target > state for state in rows for target in unrolled.next[state].tolist())


@pytest.mark.parametrize(
    ("avoided", "word", "is_accepted"),
    [
        ("STRASSE", "straße", False),
        ("ß", "strasse", False),
        ("s", "straße", False),
        ("se", "straße", False),
        ("sse", "straße", False),
        ("ssse", "straße", True),
        ("É", "rené", False),
        (unicodedata.normalize("NFD", "É"), "rené", False),
        ("e\u0301", "re", True),
    ],
)
def test_texts_are_avoided_in_any_case(avoided: str, word: str, is_accepted: bool) -> None:
    vocabulary = Vocabulary("aenrstßé")
    demand = demand_of(Constraints(avoid=[avoided]), vocabulary, max_length=10)
    assert demand.automaton.accepts(vocabulary.encode(word)) is is_accepted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_length": 0}, "min_length must be a whole number from 1 to 1,000, but got '0'"),
        ({"max_length": 1001}, "max_length must be a whole number from 1 to 1,000, but got '1001'"),
        ({"max_length": True}, "max_length must be a whole number from 1 to 1,000, but got 'True'"),
        ({"min_length": 2.0}, "min_length must be a whole number from 1 to 1,000, but got '2.0'"),
        ({"suffix": None}, "suffix must be a string, but got None"),
        ({"contains": 5}, "contains must be a string, but got 5"),
        ({"without": ["a"]}, r"without must be a string, but got \['a'\]"),
        ({"match": re.compile("a")}, "match must be a regular expression as a string, but got re.compile"),
        ({"avoid": "abc"}, "avoid must be a list of strings, or the path of a file, but got 'abc'"),
        ({"avoid": 3}, "avoid must be a list of strings, or the path of a file, but got 3"),
        ({"avoid": ["a", ""]}, "avoid must hold strings of one character at least, but holds ''"),
        ({"avoid": [b"a"]}, "avoid must hold strings of one character at least, but holds b'a'"),
        (
            {"avoid": Path("nowhere")},
            "avoid must be the path of a UTF-8 file .*, but got 'nowhere': No such file",
        ),
    ],
)
def test_values_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConstraintError, match=f"^{message}"):
        Constraints(**arguments)


def test_unknown_letters() -> None:
    with pytest.raises(ConstraintError, match=r"^suffix must be made of letters that the model knows "):
        demand_of(Constraints(suffix="ax"), VOCABULARY, max_length=5)
    demand_of(Constraints(without="x", avoid=["x"]), VOCABULARY, max_length=5)  # no name can hold it


def test_a_file_of_texts(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\ufeffab\n\n  ca \r\n", encoding="utf-8")
    assert Constraints(avoid=tmp_path / "texts").avoid == ("ab", "ca")  # type: ignore[arg-type]


def test_a_demand_with_too_many_states() -> None:
    # Whether an a stands 40 letters before the end: a state for each set of places.
    with pytest.raises(ValueError, match="the automaton of these together would have more than"):
        demand_of(
            Constraints(min_length=1000, max_length=1000, suffix="ab" * 250, contains="ba" * 250),
            VOCABULARY,
            max_length=9,
        )


def test_how_constraints_are_written() -> None:
    constraints = Constraints(suffix="a", avoid=["b"], ignore_case=True)
    assert repr(constraints) == "Constraints(suffix='a', avoid=('b',), ignore_case=True)"
    assert constraints.describe() == "suffix 'a' and avoid (1 text)"
    assert Constraints(ignore_case=True).is_empty
    assert constraints.mapped(str.upper).suffix == "A"
