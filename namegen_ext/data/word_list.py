"""Loads word lists: those that have a name, and those in files of the user's or on standard input."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from namegen_ext.data import makemore
from namegen_ext.data.categories import check_unmarked, marked_words
from namegen_ext.data.data_errors import DataError
from namegen_ext.data.list_format import ListFormat
from namegen_ext.data.prepared_words import prepare_words
from namegen_ext.data.source_files import STANDARD_INPUT, read_file, read_standard_input
from namegen_ext.data.table_file import parse_table
from namegen_ext.data.word_file import parse_words

# The lists that come with the package, with their sources. See files/PROVENANCE.md.
_EMBEDDED = {
    "census": "first names of the 1990 census of the United States (US Census Bureau, public domain)",
    "surnames": "surnames of the 1990 census of the United States (US Census Bureau, public domain)",
}

# Every name that `load_words` knows.
WORD_LISTS = (*_EMBEDDED, "makemore")

# Files with these endings are tables. A comma is looked for in the first; programs write it with semicolons too.
_DELIMITERS: Mapping[str, str | None] = {".csv": None, ".tsv": "\t"}

_NAMED_FILES = 3  # of a list of several files, in its name

Source = str | os.PathLike[str]


@dataclass(frozen=True)
class WordList:
    """A list of words and where it came from.

    Attributes:
        name: what it is called: one of `WORD_LISTS`, or the file's name; of several, these joined by "+".
        words: the words, in the order of the file, with its repeats.
        source: where they came from, for people to read: a path, an address or a description.
        sha256: the SHA-256 of the file, in hexadecimal; of several, that of their SHA-256s.
        weights: how often each word counts; None where each counts once. With weights no word is there twice.
        notes: what was left out and what was found out, a sentence each.
        categories: the names of the words' categories, ascending; each word then has the mark of its category before
            it, see `namegen_ext.data.categories`.

    Example:
        >>> WordList(name="two", words=["anna", "ben"], source="made up", sha256="").words
        ['anna', 'ben']

    """

    name: str
    words: list[str] = field(repr=False)
    source: str
    sha256: str
    weights: list[float] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


def load_words(source: Source | Sequence[Source], list_format: ListFormat | None = None) -> WordList:
    """Load a word list by its name, from a file or from several.

    Args:
        source: "census" (5,163 first names) or "surnames" (88,799), which come with the package; "makemore"
            (32,033 first names), downloaded once and kept in the cache (see `namegen_ext.data.makemore`); "-" for
            standard input; or the path of a UTF-8 file with one word a line (see
            `namegen_ext.data.word_file.parse_words`) or of a table, which a name in .csv or .tsv or a column that is
            asked for makes it (see `namegen_ext.data.table_file.parse_table`). What gzip packed is unpacked. A string
            that is one of the names is taken for the name: a file of that name is "./census" or ``Path("census")``.
            Several make one list, in their order. "elf=FILE" gives the words of a file the category "elf"; either all
            have categories so, or none.
        list_format: which columns are read, and what is done to the words; None for a plain list.

    Raises:
        DataError: the list cannot be had, or is not fit for use; one line that says where and why.

    Example:
        >>> len(load_words("census").words)
        5163

    """
    list_format = ListFormat() if list_format is None else list_format
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not sources:
        raise DataError("source must name one list at least, but got none")
    sources, kinds = _without_kinds(sources, list_format)
    is_for_files = list_format.is_table or list_format.comment is not None
    if is_for_files and all(isinstance(part, str) and part in WORD_LISTS for part in sources):
        asked = "a column" if list_format.is_table else "a mark of comments"
        raise DataError(f"the list {sources[0]} has no columns and no comments, but {asked} was asked for")
    parts = [_load_part(part, list_format, alone=len(sources) == 1) for part in sources]
    first = parts[0]
    for part in parts:
        check_unmarked(part.words, part.source)
    if len(parts) == 1 and first.weights is None and list_format == ListFormat() and kinds == [None]:
        return first
    words = [word for part in parts for word in part.words]
    source_text = ", ".join(part.source for part in parts)
    categories: tuple[str, ...] = ()
    of_words = [kind for part, kind in zip(parts, kinds, strict=True) for kind in _kinds_of(part, kind)]
    if of_words:
        words, categories = marked_words(words, of_words, source_text)
    weights = None
    if any(part.weights is not None for part in parts):
        weights = [weight for part in parts for weight in part.weights or [1.0] * len(part.words)]
    prepared, weights, notes = prepare_words(words, weights, list_format, source_text)
    joined = "+".join(part.name for part in parts[:_NAMED_FILES])
    return WordList(
        name=joined + ("+" if len(parts) > _NAMED_FILES else ""),
        words=prepared,
        source=source_text,
        sha256=first.sha256 if len(parts) == 1 else _sha256("".join(part.sha256 for part in parts).encode()),
        weights=weights,
        notes=(*(note for part in parts for note in part.notes), *notes),
        categories=categories,
    )


def _without_kinds(
    sources: Sequence[Source], list_format: ListFormat
) -> tuple[list[Source], list[str | None]]:
    """Take the categories off sources such as "elf=FILE"; a file of such a name is meant itself."""
    found: list[Source] = []
    kinds: list[str | None] = []
    for source in sources:
        kind = None
        if isinstance(source, str) and "=" in source and not Path(source).exists():
            kind, _, rest = source.partition("=")
            kind = kind.strip()
            source = rest
        found.append(source)
        kinds.append(kind)
    named = [kind for kind in kinds if kind is not None]
    if named and len(named) < len(kinds):
        plain = next(str(source) for source, kind in zip(found, kinds, strict=True) if kind is None)
        raise DataError(
            f"{plain}: has no category, but others have: expected {named[0]}=FILE of all or of none"
        )
    if named and list_format.category_column is not None:
        raise DataError(f"{named[0]}={found[0]}: a category was given, and a column of categories asked for")
    return found, kinds


def _kinds_of(part: WordList, kind: str | None) -> list[str]:
    """Return the name of each word's category; nothing where they have none."""
    return list(part.categories) if kind is None else [kind] * len(part.words)


def _load_part(source: Source, list_format: ListFormat, *, alone: bool) -> WordList:
    if isinstance(source, str) and source in WORD_LISTS:
        if source == "makemore":
            content, origin = makemore.read_or_download(), makemore.URL
        else:
            content, origin = _read_embedded(source), _EMBEDDED[source]
        # A column or a comment mark is meant for the other files.
        return WordList(source, parse_words(content, origin), origin, _sha256(content))
    if source == STANDARD_INPUT:
        content, name, origin = read_standard_input(), "standard-input", "standard input"
    else:
        path = Path(source)
        # One word may be the name of a list, misspelt.
        is_one_word = len(path.parts) == 1
        hint = f", and no word list of that name: {', '.join(WORD_LISTS)}" if is_one_word else ""
        content, name, origin = read_file(path, hint), path.name, str(path)
    ending = Path(name.removesuffix(".gz")).suffix.lower()
    if list_format.is_table or ending in _DELIMITERS:
        table = parse_table(content, origin, list_format, _DELIMITERS.get(ending))
        if alone and len(set(table.words)) < 2:
            raise DataError(f"{origin}: has {len(set(table.words))} distinct words, expected at least two")
        kinds = tuple(table.categories or ())  # of each word here
        return WordList(name, table.words, origin, _sha256(content), table.counts, table.notes, kinds)
    words = parse_words(content, origin, comment=list_format.comment, distinct=alone)
    return WordList(name, words, origin, _sha256(content))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_embedded(name: str) -> bytes:
    file = resources.files("namegen_ext.data") / "files" / f"{name}.txt"
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file}: the installed package lacks this file ({error}); install it again"
        ) from None
