"""Loads word lists: those that have a name, and those in a file of the user's."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from namegen_ext.data import makemore
from namegen_ext.data.errors import DataError
from namegen_ext.data.word_file import parse_words

# The lists that come with the package, with their sources. See files/PROVENANCE.md.
_EMBEDDED = {
    "census": "first names of the 1990 census of the United States (US Census Bureau, public domain)",
    "surnames": "surnames of the 1990 census of the United States (US Census Bureau, public domain)",
}

# Every name that `load_words` knows.
WORD_LISTS = (*_EMBEDDED, "makemore")


@dataclass(frozen=True)
class WordList:
    """A list of words and where it came from.

    Attributes:
        name: what it is called: one of `WORD_LISTS`, or the file's name.
        words: the words, in the order of the file, with its repeats.
        source: where they came from, for people to read: a path, an address or a description.
        sha256: the SHA-256 of the file, in hexadecimal.

    Example:
        >>> WordList(name="two", words=["anna", "ben"], source="made up", sha256="").words
        ['anna', 'ben']

    """

    name: str
    words: list[str] = field(repr=False)
    source: str
    sha256: str


def load_words(source: str | os.PathLike[str]) -> WordList:
    """Load a word list by its name or from a file.

    Args:
        source: "census" (5,163 first names) or "surnames" (88,799), which come with the package; "makemore"
            (32,033 first names), downloaded once and kept in the cache (see `namegen_ext.data.makemore`); or
            the path of a UTF-8 file with one word a line (see `namegen_ext.data.word_file.parse_words`). A
            string that is one of the names is taken for the name: a file of that name is "./census" or
            ``Path("census")``.

    Raises:
        DataError: the list cannot be had, or is not fit for use; one line that says where and why.

    Example:
        >>> len(load_words("census").words)
        5163

    """
    if isinstance(source, str) and source in _EMBEDDED:
        content = _read_embedded(source)
        name, origin = source, _EMBEDDED[source]
    elif source == "makemore":
        content = makemore.read_or_download()
        name, origin = source, makemore.URL
    else:
        path = Path(source)
        content = _read_file(path)
        name, origin = path.name, str(path)
    return WordList(
        name=name,
        words=parse_words(content, origin),
        source=origin,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _read_embedded(name: str) -> bytes:
    file = resources.files("namegen_ext.data") / "files" / f"{name}.txt"
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file}: the installed package lacks this file ({error}); install it again"
        ) from None


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        # A path of one word may be the misspelt name of a list.
        names = f", and no word list of that name: {', '.join(WORD_LISTS)}" if len(path.parts) == 1 else ""
        raise DataError(f"{path}: there is no such file{names}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a directory, expected a text file with one word a line") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the path
        raise DataError(f"{str(path)!r}: is no path: {error}") from None
