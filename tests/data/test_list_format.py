"""What is done to words before they are learnt, and when they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from namegen_ext.data import DataError, ListFormat
from namegen_ext.data.prepared_words import prepare_words
from namegen_ext.data.title_case import title_case


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("anna", "Anna"),
        ("anna\notto", "Anna\nOtto"),
        ("jean-luc", "Jean-Luc"),
        ("o'brien", "O'Brien"),
        ("d\u2019angelo", "D\u2019Angelo"),
        ("land's end", "Land's End"),
        ("st. ives", "St. Ives"),
        ("node.js", "Node.Js"),
        ("élodie", "Élodie"),
        ("e\u0301lodie", "E\u0301lodie"),
        ("zoe\u0308s", "Zoe\u0308s"),
        ("3rd street", "3rd Street"),
        ("(the) \u201cbell\u201d", "(The) \u201cBell\u201d"),
        ("анна-мария", "Анна-Мария"),
        ("", ""),
    ],
)
def test_title_case(word: str, expected: str) -> None:
    assert title_case(word) == expected


def prepared(words: list[str], counts: list[float] | None = None, **asked: Any) -> Any:
    return prepare_words(words, counts, ListFormat(**asked), "list")


def test_nothing_is_done_unless_asked_for() -> None:
    words = ["Anna", "anna", "e\u0301", "é", "ﬁn", "anna"]
    assert prepared(words) == (words, None, ())


def test_case_and_normal_forms() -> None:
    words = ["Anna", "e\u0301", "ﬁn", "\u0130"]
    assert prepared(words, case="lower")[0] == ["anna", "e\u0301", "ﬁn", "i\u0307"]
    assert prepared(words, case="title")[0] == ["anna", "e\u0301", "ﬁn", "i\u0307"]
    assert prepared(words, normalize="nfc")[0] == ["Anna", "é", "ﬁn", "\u0130"]
    assert prepared(words, normalize="nfkc", case="lower")[0] == ["anna", "é", "fin", "i\u0307"]


def test_equal_words_with_counts_become_one() -> None:
    found = prepared(["Mary", "Anna", "mary", "Otto"], [7, 2, 0.5, 0], case="lower")
    assert found == (["mary", "anna"], [7.5, 2], ("list: 1 words whose count is 0 are left out",))


def test_rare_characters() -> None:
    words = ["anna", "nana", "ann", "bann", "bxna", "nay"]
    kept, weights, notes = prepared(words, [1, 2, 3, 4, 5, 6], rare=2)
    # Of the whole list: that b is in one word once that with x is gone does not count.
    assert kept == ["anna", "nana", "ann", "bann"]
    assert weights == [1, 2, 3, 4]
    assert notes == ("list: 2 of 6 words are left out, as fewer than 2 words have their character 'x', 'y'",)
    assert prepared(words, rare=1) == (words, None, ())
    with pytest.raises(DataError, match=r"^list: 0 distinct words are left, expected at least two$"):
        prepared(words, rare=7)


@pytest.mark.parametrize(
    "content",
    [
        {"column": 3},
        {"column": ""},
        {"count_column": []},
        {"comment": "# "},
        {"comment": "\n"},
        {"comment": "#" * 21},
        {"case": "UPPER"},
        {"normalize": "nfd"},
        {"normalize": None},
        {"rare": -1},
        {"rare": 1.0},
        {"rare": True},
        {"rare": 10**9 + 1},
        {"colour": "red"},
    ],
)
def test_values_that_cannot_be(content: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(content))) as raised:
        ListFormat.from_json(content)
    assert "\n" not in str(raised.value)


def test_json() -> None:
    asked = ListFormat("name", "3", "#", "title", "nfkc", 5)
    assert ListFormat.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    assert ListFormat.from_json({}) == ListFormat()


def test_the_beginning_of_a_name_is_learnt_as_names_are() -> None:
    asked = ListFormat(case="title", normalize="nfc")
    assert asked.as_learnt("Zoe\u0308") == "zoë"
    assert asked.as_written("zoë-anne\nmia") == "Zoë-Anne\nMia"
    assert ListFormat(case="lower").as_written("zoë") == "zoë"
