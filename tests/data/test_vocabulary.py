from __future__ import annotations

import json
import string
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.data import END_MARKER, DataError, Vocabulary

# Characters of every plane that can stand in a word.
characters = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters=".\ufeff")
word_lists = st.lists(st.text(characters, min_size=1, max_size=12), min_size=1, max_size=20)


def test_numbers_of_the_latin_alphabet() -> None:
    vocabulary = Vocabulary.from_words(["zyxwvutsrqpon", "mlkjihgfedcba", "emma"])
    assert len(vocabulary) == 27
    assert vocabulary.symbols == tuple(string.ascii_lowercase)
    assert vocabulary.encode("emma") == [5, 13, 13, 1]  # e, m and a are letters 5, 13 and 1
    assert vocabulary.encode("") == []


@given(words=word_lists)
def test_round_trips(words: list[str]) -> None:
    vocabulary = Vocabulary.from_words(words)
    assert vocabulary.symbols == tuple(sorted(set("".join(words))))
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary
    for word in words:
        numbers = vocabulary.encode(word)
        assert all(0 < number < len(vocabulary) for number in numbers)
        assert vocabulary.decode(numbers) == word
        assert vocabulary.decode([*numbers, 0, *numbers]) == word


def test_order_is_that_of_code_points_beyond_the_basic_plane_too() -> None:
    # In UTF-16 the emoji's first unit (0xD83D) would come before U+FF21.
    vocabulary = Vocabulary.from_words(["\U0001f600\uff21 -'é"])
    assert vocabulary.symbols == (" ", "'", "-", "é", "\uff21", "\U0001f600")
    assert vocabulary.encode("\U0001f600") == [6]


def test_decode_takes_tensors_and_stops_at_the_end() -> None:
    vocabulary = Vocabulary("abc")
    assert vocabulary.decode(torch.tensor([3, 1, 2, 0, 3])) == "cab"
    assert vocabulary.decode([0, 99]) == ""
    assert vocabulary.decode([]) == ""


@pytest.mark.parametrize("number", [4, -1])
def test_decode_refuses_other_numbers(number: int) -> None:
    with pytest.raises(DataError, match=rf"^numbers must lie in 0\.\.3, but got {number}$"):
        Vocabulary("abc").decode([1, number])


@pytest.mark.parametrize(
    ("word", "character"), [("abxa", "x"), ("a.b", "."), ("B", "B"), ("a\ud800", "\ud800")]
)
def test_encode_names_the_unknown_character(word: str, character: str) -> None:
    with pytest.raises(DataError) as raised:
        Vocabulary("abc").encode(word)
    message = f"the word {word!r} has the character {character!r}, but the vocabulary is 'abc'"
    assert str(raised.value) == message


def test_equality_hash_and_repr() -> None:
    vocabulary = Vocabulary("abc")
    assert vocabulary == Vocabulary(["a", "b", "c"])
    assert hash(vocabulary) == hash(Vocabulary(("a", "b", "c")))
    assert vocabulary != Vocabulary("abd")
    assert vocabulary != ("a", "b", "c")
    assert eval(repr(vocabulary)) == vocabulary


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ("", "a vocabulary needs one symbol at least, but got none"),
        (["a", "bc"], r"symbols\[1\] must be a single character, but got 'bc'"),
        (["a", ""], r"symbols\[1\] must be a single character, but got ''"),
        ("aa", r"symbols must be distinct and in ascending order, but 'a' comes after 'a' \(symbols\[1\]\)"),
        ("acb", r"symbols must be distinct and in ascending order, but 'b' comes after 'c' \(symbols\[2\]\)"),
        ("\x00a", r"symbols\[0\] contains the control character U\+0000"),
        ("\na", r"symbols\[0\] contains the control character U\+000A"),
        ("a\x85", r"symbols\[1\] contains the control character U\+0085"),
        ("a\u2028", r"symbols\[1\] contains the line separator U\+2028"),
        ("a\u2029", r"symbols\[1\] contains the paragraph separator U\+2029"),
        ("a\ud800", r"symbols\[1\] contains the surrogate U\+D800"),
        ("a\ufeff", r"symbols\[1\] contains the byte-order mark U\+FEFF"),
    ],
)
def test_symbols_that_make_no_vocabulary(symbols: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}") as raised:
        Vocabulary(symbols)
    assert "\n" not in str(raised.value)


def test_symbols_that_are_no_strings() -> None:
    with pytest.raises(TypeError, match=r"^symbols\[1\] must be a string, but got 2$"):
        Vocabulary(["a", 2])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ("anna", TypeError, "words must be a list of strings, but got the string 'anna'"),
        (["anna", 3], TypeError, r"words\[1\] must be a string, but got 3"),
        (["anna", "nan", "a\nb"], DataError, r"words\[2\], 'a\\nb', contains the control character U\+000A"),
        ([], DataError, "a vocabulary needs one symbol at least"),
        ([""], DataError, "a vocabulary needs one symbol at least"),
    ],
)
def test_words_that_make_no_vocabulary(words: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        Vocabulary.from_words(words)


def test_the_full_stop_is_a_symbol_like_others() -> None:
    vocabulary = Vocabulary.from_words(["st. ives", "node.js"])
    assert "." in vocabulary.symbols
    assert vocabulary.decode([*vocabulary.encode("st. ives"), 0, 1]) == "st. ives"
    assert vocabulary.to_json()["end_marker"] == ""
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert Vocabulary("abc").to_json() == {
        "end_marker": ".",
        "symbols": "abc",
    }  # as earlier versions wrote it


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("abc", "the vocabulary must be a JSON object, but is of type str"),
        (None, "the vocabulary must be a JSON object, but is of type NoneType"),
        ({}, "the vocabulary must have the keys 'end_marker' and 'symbols', but has none"),
        (
            {"symbols": "abc"},
            "the vocabulary must have the keys 'end_marker' and 'symbols', but has 'symbols'",
        ),
        ({"symbols": "a", "end_marker": ".", "x": 1}, "the vocabulary must have the keys .*, but has .*'x'"),
        ({"symbols": ["a"], "end_marker": "."}, r"the vocabulary's symbols must be a string, but is \['a'\]"),
        ({"symbols": "a", "end_marker": None}, "the vocabulary's end_marker must be a string, but is None"),
        ({"symbols": "a", "end_marker": "#"}, r"the vocabulary's end_marker must be '\.', but is '#'"),
        ({"symbols": "abb", "end_marker": "."}, "symbols must be distinct"),
        ({"symbols": "ba", "end_marker": "."}, "symbols must be .*in ascending order"),
        ({"symbols": ".a", "end_marker": END_MARKER}, r"the vocabulary's end_marker must be '', but is '\.'"),
        ({"symbols": "a", "end_marker": ""}, r"the vocabulary's end_marker must be '\.', but is ''"),
        ({"symbols": "", "end_marker": END_MARKER}, "a vocabulary needs one symbol"),
    ],
)
def test_json_that_makes_no_vocabulary(content: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}"):
        Vocabulary.from_json(content)
