"""Lists with categories: marks, files, columns, windows, and what is asked for by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from namegen_ext.data import DataError, ListFormat, Vocabulary, build_sequences, build_windows, load_words
from namegen_ext.data.categories import (
    category_of,
    is_marked,
    letters_of,
    mark_of,
    num_categories,
    parse_categories,
    without_mark,
)

A, B = mark_of(0), mark_of(1)


def test_marks() -> None:
    assert [category_of(mark_of(number) + "x") for number in (0, 5, 4095)] == [0, 5, 4095]
    assert [is_marked(word) for word in ("", "a", A, A + "a", chr(0xF1000))] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert [without_mark(word) for word in ("", "a", B + "ab")] == ["", "a", "ab"]
    vocabulary = Vocabulary.from_words([A + "ab", B + "b\U0001f600"])
    assert num_categories(vocabulary) == 2
    assert letters_of(vocabulary).symbols == ("a", "b", "\U0001f600")
    assert vocabulary.encode(B + "a") == [5, 1]


def test_windows_and_sequences() -> None:
    vocabulary = Vocabulary.from_words([A + "ab", B + "b"])  # a, b, A, B are 1, 2, 3, 4
    tokens, targets = build_windows([B + "ab", A + ""], vocabulary, 2)
    assert tokens.tolist() == [[4, 0, 0], [4, 0, 1], [4, 1, 2], [3, 0, 0]]
    assert targets.tolist() == [1, 2, 0, 0]
    tokens, targets = build_sequences([B + "ab", A + "b"], vocabulary, 4)
    assert tokens.tolist() == [[0, 4, 1, 2, 0], [0, 3, 2, 0, 0]]
    assert targets.tolist() == [[-1, 1, 2, 0, -1], [-1, 2, 0, -1, -1]]
    # A word that is longer than the block: its further letters have the mark too.
    tokens, targets = build_sequences([B + "abba"], vocabulary, 2)
    assert tokens.tolist() == [[0, 4, 1], [4, 1, 2], [4, 2, 2], [4, 2, 1]]
    assert targets.tolist() == [[-1, 1, 2], [-1, -1, 2], [-1, -1, 1], [-1, -1, 0]]


def test_files_by_category(tmp_path: Path) -> None:
    (tmp_path / "elves").write_text("Elrond\nArwen\n")
    (tmp_path / "dwarves").write_text("Gimli\n")
    both = [f"elf={tmp_path}/elves", f"dwarf={tmp_path}/dwarves"]
    words = load_words(both, ListFormat(case="lower"))
    assert words.categories == ("dwarf", "elf")
    assert words.words == [B + "elrond", B + "arwen", A + "gimli"]
    with pytest.raises(
        DataError, match="dwarves: has no category, but others have: expected elf=FILE of all"
    ):
        load_words([both[0], f"{tmp_path}/dwarves"])
    with pytest.raises(DataError, match="has 1 categories, expected 2 to 4,096"):
        load_words([both[0], f"elf={tmp_path}/dwarves"])
    with pytest.raises(DataError, match="a category is called 'all', expected a name without commas"):
        load_words([both[0], f"all={tmp_path}/dwarves"])
    with pytest.raises(DataError, match="a category was given, and a column of categories asked for"):
        load_words(both, ListFormat(category_column="2"))
    (tmp_path / "x=y").write_text("anna\nben\n")
    assert load_words(f"{tmp_path}/x=y").categories == ()
    (tmp_path / "marked").write_text(f"anna\n{A}ben\n")
    with pytest.raises(DataError, match="has a character of U\\+F0000 to U\\+F0FFF, which mark categories"):
        load_words(f"{tmp_path}/marked")


def test_a_column_of_categories(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("name,kind,n\nAnna,girl,3\nBen,boy,2\nAnna,boy,1\nAnna,girl,4\n")
    words = load_words(path, ListFormat(category_column="kind"))
    assert words.words == [B + "Anna", A + "Ben", A + "Anna", B + "Anna"]
    counted = load_words(path, ListFormat(category_column="2", count_column="n"))
    assert counted.words == [B + "Anna", A + "Ben", A + "Anna"]
    assert counted.weights == [7, 2, 1]
    with pytest.raises(
        DataError, match="category-column: got 'sort', expected a number from 1 to 3 or one of"
    ):
        load_words(path, ListFormat(category_column="sort"))
    path.write_text("name,kind\nAnna,girl\nBen,\n")
    with pytest.raises(DataError, match="line 3: 'Ben' has no category"):
        load_words(path, ListFormat(category_column="kind"))


def test_what_is_asked_for() -> None:
    known = ("dwarf", "elf", "man of old")
    assert parse_categories("elf", known) == {"elf": 1.0}
    assert parse_categories("elf:0.25, man of old:.75", known) == {"elf": 0.25, "man of old": 0.75}
    assert parse_categories({"elf": 1, "dwarf": 0}, known) == {"elf": 1.0}
    for asked, told in {
        "orc": "must be one of 'dwarf, elf, man of old', but got 'orc'",
        "": "must be one of .*, but got ''",
        "elf:0.5": "must have weights that sum to 1, but got 0.5",
        "elf:0.5,dwarf": "must have weights from 0 to 1 such as dwarf:0.7, but got ''",
        "elf:nan,dwarf:1": "must have weights from 0 to 1 such as elf:0.7, but got 'nan'",
        "elf:-0.5,dwarf:1.5": "must have weights from 0 to 1",
        "elf:0.5,elf:0.5": "must name each category once, but got 'elf' twice",
        "elf,dwarf": "must have weights from 0 to 1 such as elf:0.7",
    }.items():
        with pytest.raises(ValueError, match=f"^category {told}"):
            parse_categories(asked, known)
    with pytest.raises(
        ValueError, match="category is for a list with categories, but this run's list has none"
    ):
        parse_categories("elf", ())
    with pytest.raises(ValueError, match="must be a name, or names with weights, but got 5"):
        parse_categories(5, known)  # type: ignore[arg-type]
