"""Names of several categories in one list: each has the mark of its category before it.

A mark is one character, U+F0000 for the first category, U+F0001 for the second and so on, which Unicode leaves to
private use. So a name with its mark is a word like others, and the marks are symbols of the vocabulary, its last ones.
What is learnt is the rest of the word given its mark: a window has the mark at its oldest place, before the letters; a
sequence has it first. No mark is ever predicted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from namegen_ext.data.data_errors import DataError, shorten

if TYPE_CHECKING:
    from namegen_ext.data.vocabulary import Vocabulary

_FIRST_MARK = 0xF0000
MOST_CATEGORIES = 4096
ALL = "all"

# A category can be named on the command line, beside a weight.
_NAME = re.compile(r"[^\s:,=](?:[^:,=\n]*[^\s:,=])?")


def mark_of(number: int) -> str:
    """Return the mark of a category by its number from 0."""
    return chr(_FIRST_MARK + number)


def is_marked(word: str) -> bool:
    """Tell whether a word begins with a mark."""
    return word[:1] >= mark_of(0) and word[0] < mark_of(MOST_CATEGORIES) if word else False


def category_of(word: str) -> int:
    """Return the number of the category of a marked word."""
    return ord(word[0]) - _FIRST_MARK


def without_mark(word: str) -> str:
    """Return a word without its mark; one that has none as it is."""
    return word[1:] if is_marked(word) else word


def marked_words(
    words: Sequence[str], categories: Sequence[str], origin: str
) -> tuple[list[str], tuple[str, ...]]:
    """Put the mark of its category before each word.

    Args:
        words: as they were read.
        categories: the name of each word's category.
        origin: what messages call the list.

    Returns:
        The marked words, and the names of the categories in ascending order.

    Raises:
        DataError: there are fewer than two categories or too many, a name cannot be one, or a word has a mark already.

    """
    names = tuple(sorted(set(categories)))
    check_categories(names, origin)
    check_unmarked(words, origin)
    numbers = {name: mark_of(number) for number, name in enumerate(names)}
    return [numbers[name] + word for word, name in zip(words, categories, strict=True)], names


def check_categories(names: Sequence[str], origin: str) -> None:
    """Accept the names of two categories or more.

    Raises:
        DataError: they cannot be.

    """
    if not 2 <= len(names) <= MOST_CATEGORIES:
        raise DataError(f"{origin}: has {len(names):,} categories, expected 2 to {MOST_CATEGORIES:,}")
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not name.isprintable() or name == ALL:
            raise DataError(
                f"{origin}: a category is called {shorten(str(name))}, expected a name without commas, colons and"
                f" equals signs, and not {ALL!r}"
            )
    if list(names) != sorted(set(names)):
        raise DataError(f"{origin}: the categories must be distinct and in ascending order")


def check_unmarked(words: Iterable[str], origin: str) -> None:
    """Refuse words with characters that stand for categories.

    Raises:
        DataError: there is one.

    """
    for word in words:
        if not word.isascii() and any(mark_of(0) <= letter < mark_of(MOST_CATEGORIES) for letter in word):
            raise DataError(
                f"{origin}: {shorten(word)} has a character of U+F0000 to U+F0FFF, which mark categories"
            )


def num_categories(vocabulary: Vocabulary) -> int:
    """Tell how many of a vocabulary's symbols are marks; they are its last ones."""
    return sum(map(is_marked, vocabulary.symbols[::-1]))


def letters_of(vocabulary: Vocabulary) -> Vocabulary:
    """Return the vocabulary without its marks; the numbers of the others stay."""
    from namegen_ext.data.vocabulary import Vocabulary

    return Vocabulary([symbol for symbol in vocabulary.symbols if not is_marked(symbol)])


def parse_categories(
    asked: str | Mapping[str, float], known: Sequence[str], what: str = "category"
) -> dict[str, float]:
    """Read which categories are asked for: one, or several with weights that sum to one.

    Args:
        asked: "elf", "elf:0.7,dwarf:0.3", or the same as a mapping.
        known: the names of those there are.
        what: what messages call the value.

    Returns:
        The weights, above 0.

    Raises:
        ValueError: there is no such category, or the weights cannot be.

    Example:
        >>> parse_categories("elf:0.7,dwarf:0.3", ["dwarf", "elf"])
        {'elf': 0.7, 'dwarf': 0.3}

    """
    if not known:
        raise ValueError(f"{what} is for a list with categories, but this run's list has none")
    if isinstance(asked, str):
        parts = [part.strip() for part in asked.split(",")]
        if len(parts) == 1 and ":" not in asked:
            pairs: list[tuple[str, object]] = [(parts[0], "1")]
        else:
            pairs = [(name.strip(), weight) for name, _, weight in (part.partition(":") for part in parts)]
    elif isinstance(asked, Mapping):
        pairs = list(asked.items())
    else:
        raise ValueError(f"{what} must be a name, or names with weights, but got {asked!r}")
    weights: dict[str, float] = {}
    for name, weight in pairs:
        if name not in known:
            raise ValueError(
                f"{what} must be one of {shorten(', '.join(known), width=200)}, but got {shorten(str(name))}"
            )
        if name in weights:
            raise ValueError(f"{what} must name each category once, but got {name!r} twice")
        weights[name] = _weight(weight, name, what)
    total = sum(weights.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{what} must have weights that sum to 1, but got {total:g}")
    return {name: weight for name, weight in weights.items() if weight > 0}


def _weight(weight: object, name: str, what: str) -> float:
    number = None
    if (isinstance(weight, (int, float)) and not isinstance(weight, bool)) or (
        isinstance(weight, str)
        and re.fullmatch(r"\s*([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", weight)
    ):
        number = float(weight)
    if number is None or not 0 <= number <= 1:
        raise ValueError(
            f"{what} must have weights from 0 to 1 such as {name}:0.7, but got {shorten(str(weight))}"
        )
    return number
