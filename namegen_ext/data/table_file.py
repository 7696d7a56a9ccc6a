"""Words in a column of a table: CSV, TSV and their kin, with or without a header and a column of counts."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from namegen_ext.data.characters import describe_forbidden
from namegen_ext.data.data_errors import DataError, shorten
from namegen_ext.data.list_format import ListFormat
from namegen_ext.data.word_file import decode_text

# What a column of names is often called; compared in lower case.
_HEADINGS = (
    "name",
    "names",
    "word",
    "words",
    "first_name",
    "first name",
    "firstname",
    "forename",
    "given_name",
    "last_name",
    "last name",
    "lastname",
    "surname",
    "family_name",
    "title",
    "label",
    "city",
    "town",
    "place",
)
_DELIMITERS = ",\t;|"
_COLUMN_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
_COUNT = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", re.ASCII)
_LARGEST_COUNT = 1e15
_LOOKED_AT = 100  # rows, for the header


@dataclass(frozen=True)
class TableWords:
    """What a table holds.

    Attributes:
        words: in the order of the rows, with their repeats.
        counts: how often each counts; None without a column of counts.
        notes: what was found out and what was left out, a sentence each.
        categories: the name of each word's category; None without a column of categories.

    """

    words: list[str]
    counts: list[float] | None
    notes: tuple[str, ...]
    categories: list[str] | None = None


def parse_table(content: bytes, origin: str, list_format: ListFormat, delimiter: str | None) -> TableWords:
    """Read the words of a table in UTF-8.

    Fields may be quoted as in RFC 4180. A first row is the header where a column is asked for by name; where it has no
    number in a column that has numbers below; or where the words' column is headed "name", "word" or the like.

    Args:
        content: the bytes of the file.
        origin: what messages call the file.
        list_format: which columns, and what marks comments.
        delimiter: what stands between fields; None for the commonest of comma, tab, semicolon and bar in the first row.

    Raises:
        DataError: the text is not UTF-8, there is no such column, a row lacks it, or a count is none.

    """
    text = decode_text(content, origin).removeprefix("\ufeff")
    rows = list(_rows(text, origin, list_format.comment, delimiter))
    if not rows:
        raise DataError(f"{origin}: line 1: the table has no rows, expected words in one of its columns")
    first = rows[0][1]
    has_header = _names_a_column(list_format) or _looks_like_header(rows, list_format)
    word_column = _column(first, list_format.column, "column", origin, has_header)
    count_column = None
    if list_format.count_column is not None:
        count_column = _column(first, list_format.count_column, "count-column", origin, has_header)
    category_column = None
    if list_format.category_column is not None:
        category_column = _column(first, list_format.category_column, "category-column", origin, has_header)
    notes = []
    if has_header and not _names_a_column(list_format):
        notes.append(f"{origin}: the first row, {shorten(','.join(first))}, is taken for a header")
    if list_format.column is None and len(first) > 1:
        heading = f", {shorten(first[word_column])}," if has_header else ""
        notes.append(f"{origin}: the words are taken from column {word_column + 1}{heading} of {len(first)}")
    words, counts, categories, empty = [], [], [], 0
    for line, row in rows[has_header:]:
        word = _field(row, word_column, line, origin).strip()
        if not word:
            empty += 1
            continue
        _check_word(word, line, origin)
        words.append(word)
        if count_column is not None:
            counts.append(_count(_field(row, count_column, line, origin), line, origin))
        if category_column is not None:
            category = _field(row, category_column, line, origin).strip()
            if not category:
                raise DataError(f"{origin}: line {line}: {shorten(word)} has no category")
            categories.append(category)
    if empty:
        notes.append(f"{origin}: {empty:,} rows without a word are left out")
    return TableWords(
        words,
        counts if count_column is not None else None,
        tuple(notes),
        categories if category_column is not None else None,
    )


def _rows(
    text: str, origin: str, comment: str | None, delimiter: str | None
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its last line."""
    lines = io.StringIO(text, newline="")
    numbers: list[int] = []

    def kept() -> Iterator[str]:
        for number, line in enumerate(lines, start=1):
            if comment is None or not line.lstrip().startswith(comment):
                numbers.append(number)
                yield line

    if delimiter is None:
        delimiter = _likely_delimiter(text, comment)
    reader = csv.reader(kept(), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(field.strip() for field in row):
                yield numbers[reader.line_num - 1], row
    except csv.Error as error:
        line = numbers[reader.line_num - 1] if numbers else 1
        raise DataError(f"{origin}: line {line}: is no row of a table: {error}") from None


def _likely_delimiter(text: str, comment: str | None) -> str:
    first = next(
        (
            line
            for line in io.StringIO(text)
            if line.strip() and (comment is None or not line.lstrip().startswith(comment))
        ),
        "",
    )
    return max(_DELIMITERS, key=first.count)  # of equal ones the first


def _names_a_column(list_format: ListFormat) -> bool:
    asked = (list_format.column, list_format.count_column, list_format.category_column)
    return any(column is not None and not _COLUMN_NUMBER.fullmatch(column) for column in asked)


def _looks_like_header(rows: Sequence[tuple[int, list[str]]], list_format: ListFormat) -> bool:
    first, below = rows[0][1], [row for _, row in rows[1:_LOOKED_AT]]
    for place, field in enumerate(first):
        column = [row[place].strip() for row in below if place < len(row) and row[place].strip()]
        if column and not _is_number(field.strip()) and all(map(_is_number, column)):
            return True
    asked = list_format.column
    fields = first if asked is None else first[int(asked) - 1 : int(asked)]
    return any(field.strip().lower() in _HEADINGS for field in fields)


def _is_number(text: str) -> bool:
    return _COUNT.fullmatch(text) is not None


def _column(first: Sequence[str], asked: str | None, flag: str, origin: str, has_header: bool) -> int:
    """Return the place of a column, from 0."""
    headings = [field.strip() for field in first]
    if asked is None:
        named = [place for place, heading in enumerate(headings) if heading.lower() in _HEADINGS]
        return named[0] if has_header and named else 0
    if _COLUMN_NUMBER.fullmatch(asked):
        if not 1 <= int(asked) <= len(first):
            raise DataError(f"{origin}: {flag}: got {asked}, expected a number from 1 to {len(first)}")
        return int(asked) - 1
    if asked.strip() in headings:
        return headings.index(asked.strip())
    raise DataError(
        f"{origin}: {flag}: got {shorten(asked)}, expected a number from 1 to {len(first)} or one of the first row's"
        f" fields, {shorten(', '.join(headings), width=100)}"
    )


def _field(row: Sequence[str], place: int, line: int, origin: str) -> str:
    if place < len(row):
        return row[place]
    fields = "field" if len(row) == 1 else "fields"
    raise DataError(f"{origin}: line {line}: has {len(row)} {fields}, expected {place + 1} at least")


def _count(text: str, line: int, origin: str) -> float:
    text = text.strip()
    count = float(text) if _is_number(text) else math.nan
    if not 0 <= count <= _LARGEST_COUNT:
        expected = f"expected a number from 0 to {_LARGEST_COUNT:.0e} without separators"
        raise DataError(f"{origin}: line {line}: the count is {shorten(text)}, {expected}")
    return count


def _check_word(word: str, line: int, origin: str) -> None:
    if word.isprintable():
        return
    for character in word:
        what = describe_forbidden(character)
        if what is not None:
            raise DataError(
                f"{origin}: line {line}: {shorten(word)} contains {what}, which cannot stand in a word"
            )
