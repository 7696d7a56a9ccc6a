"""Names as they are compared: whatever their case, and however their accents are written.

Each character is decomposed, its case folded, and the result decomposed; marks that follow one another are then put in
their canonical order. So "Zoë" is "zoe" with a diaeresis behind the e, as is "ZOE" with one, and "Straße" is "strasse".

Source: The Unicode Standard, sections 3.11 (canonical ordering) and 3.13 (caseless matching).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def fold_name(name: str) -> str:
    """Return a name as it is compared with others.

    >>> fold_name("Straße") == fold_name("STRASSE")
    True

    """
    if name.isascii():
        return name.lower()
    # The characters one by one, as the native sampler has a table of them; decomposing all of it orders the marks.
    table = {ord(character): _fold_character(character) for character in set(name)}
    return unicodedata.normalize("NFD", name.translate(table))


def folded_characters(symbols: Iterable[str]) -> tuple[list[int], list[int], list[int]]:
    """Return what the native sampler needs to fold names of these characters as `fold_name` does.

    Args:
        symbols: single characters.

    Returns:
        Three lists of one length: a character, a code point that it becomes, and that one's canonical combining class.
        A character that becomes several code points stands in the lists as often, one that stays as it is not at all.

    """
    characters: list[int] = []
    folded: list[int] = []
    combining_classes: list[int] = []
    for symbol in symbols:
        pieces = _fold_character(symbol)
        if pieces == symbol and not unicodedata.combining(symbol):
            continue
        characters += [ord(symbol)] * len(pieces)
        folded += map(ord, pieces)
        combining_classes += map(unicodedata.combining, pieces)
    return characters, folded, combining_classes


def _fold_character(character: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", character).casefold())
