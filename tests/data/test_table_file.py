"""Words in a column of a table: headers, delimiters, quotes, counts, and rows that cannot be."""

from __future__ import annotations

import pytest

from namegen_ext.data import DataError, ListFormat
from namegen_ext.data.table_file import TableWords, parse_table

SOCIAL_SECURITY = b"Mary,F,7065\nAnna,F,2604\nMary,M,27\n"


def table(content: bytes | str, delimiter: str | None = None, **asked: str) -> TableWords:
    content = content.encode() if isinstance(content, str) else content
    return parse_table(content, "names.csv", ListFormat(**asked), delimiter)


def test_counts_without_a_header() -> None:
    found = table(SOCIAL_SECURITY, count_column="3")
    assert found.words == ["Mary", "Anna", "Mary"]
    assert found.counts == [7065, 2604, 27]
    assert found.notes == ("names.csv: the words are taken from column 1 of 3",)
    assert table(SOCIAL_SECURITY, column="1").words == ["Mary", "Anna", "Mary"]
    assert table(SOCIAL_SECURITY, column="1").counts is None
    assert table(SOCIAL_SECURITY, column="1", count_column="3").notes == ()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"column": "town"}, ["Bath", "Wells"]),
        ({"column": "2"}, ["Bath", "Wells"]),
        ({"column": "county"}, ["Avon", "Somerset"]),
        ({}, ["Bath", "Wells"]),
        ({"count_column": "people"}, ["Bath", "Wells"]),
        ({"count_column": "3"}, ["Bath", "Wells"]),
    ],
)
def test_a_header_by_name_or_found(asked: dict[str, str], words: list[str]) -> None:
    found = table("county,town,people\nAvon,Bath,94000\nSomerset,Wells,11000\n", **asked)
    assert found.words == words
    assert found.counts == ([94000, 11000] if "count_column" in asked else None)
    says_header = any("'county,town,people', is taken for a header" in note for note in found.notes)
    assert says_header == (
        asked.get("column") not in ("town", "county") and asked != {"count_column": "people"}
    )


def test_a_first_row_of_words_is_no_header() -> None:
    assert table("Bath,Avon\nWells,Somerset\n").words == ["Bath", "Wells"]
    assert table("Bath\nWells\n").words == ["Bath", "Wells"]
    assert table("Name\nBath\nWells\n").words == ["Bath", "Wells"]
    assert table("1,Bath\n2,Wells\n", column="2").words == ["Bath", "Wells"]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters_are_found(delimiter: str) -> None:
    text = "Mary,7\nAnna,3\n".replace(",", delimiter)
    assert table(text, count_column="2").counts == [7, 3]


def test_a_delimiter_that_is_known() -> None:
    assert table("St. Ives, Cornwall; UK\tx\nBath\ty\n", "\t").words == ["St. Ives, Cornwall; UK", "Bath"]


def test_quotes_blank_rows_marks_and_line_ends() -> None:
    text = '\ufeffname,n\r\n"Smith, Jr.",2\r\n\r\n"O""Neil",3\r\n,5\r\n'
    found = table(text, count_column="n")
    assert found.words == ["Smith, Jr.", 'O"Neil']
    assert found.counts == [2, 3]
    assert "names.csv: 1 rows without a word are left out" in found.notes


def test_comments_are_passed_over_before_the_header() -> None:
    found = table(
        "# counts,of,2020\nname,n\n# more\nAnna,3\nOtto,2\n", column="name", count_column="n", comment="#"
    )
    assert found.words == ["Anna", "Otto"]
    with pytest.raises(DataError, match=r"^names\.csv: line 5: the count is 'x'"):
        table("# a\nname,n\n# more\nAnna,3\nOtto,x\n", count_column="n", comment="#")


@pytest.mark.parametrize("count", ["x", "", "-1", "1,000", "nan", "inf", "1e99", "0x10", "٣"])
def test_counts_that_are_none(count: str) -> None:
    with pytest.raises(DataError) as raised:
        table(f'name,n\nAnna,3\nOtto,"{count}"\n', count_column="n")
    assert str(raised.value).startswith(
        f"names.csv: line 3: the count is {count!r}, expected a number from 0"
    )


@pytest.mark.parametrize(
    ("content", "asked", "message"),
    [
        ("", {}, "line 1: the table has no rows"),
        ("\n\n", {}, "line 1: the table has no rows"),
        ("a,b\nc,d\n", {"column": "3"}, "column: got 3, expected a number from 1 to 2"),
        ("a,b\nc,d\n", {"column": "0"}, "column: got 0, expected a number from 1 to 2"),
        ("a,b\nc,d\n", {"count_column": "9"}, "count-column: got 9, expected a number from 1 to 2"),
        ("a,b\nc,d\n", {"column": "x"}, "column: got 'x', expected a number .* first row's fields, 'a, b'"),
        ("a,b\nc\n", {"column": "2"}, "line 2: has 1 field, expected 2 at least"),
        ('a,b\n"c,d\n', {}, "line 2: is no row of a table: unexpected end of data"),
        ('a,b\n"c"d,e\n', {}, "line 2: is no row of a table: .*expected after"),
        (b"a,b\n\xff,c\n", {}, "line 2: is not UTF-8"),
        ('a,b\n"c\nd",e\n', {}, r"line 3: 'c\\nd' contains the control character U\+000A"),
        ("a,b\n\x01,e\n", {}, r"line 2: '\\x01' contains the control character U\+0001"),
    ],
)
def test_tables_that_cannot_be(content: bytes | str, asked: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=rf"^names\.csv: {message}") as raised:
        table(content, **asked)
    assert "\n" not in str(raised.value)
