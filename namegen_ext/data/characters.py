"""The characters that a word may be made of: all but those that never belong to a word."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

# What texts for people show for symbol 0 of every vocabulary, which fills the context before a word begins, and ends
# the word. It is no character: a word may hold a full stop, which then is a symbol of its own.
END_MARKER = "."
# What they show where the full stop is a symbol.
_OTHER_END_MARKER = "\N{SYMBOL FOR END OF TEXT}"

_BYTE_ORDER_MARK = "\ufeff"

# Unicode's general categories. A word with one of these could not stand on a line of a UTF-8 file (line ends,
# surrogates) or shows that the file is not a word list (tabs of a table, NUL bytes of a binary file).
_FORBIDDEN_CATEGORIES = {
    "Cc": "the control character",
    "Cs": "the surrogate",
    "Zl": "the line separator",
    "Zp": "the paragraph separator",
}


def shown_end_marker(symbols: Iterable[str]) -> str:
    """Return what stands for the end of a word beside some symbols: "." where that is none of them."""
    return _OTHER_END_MARKER if END_MARKER in symbols else END_MARKER


def describe_forbidden(character: str) -> str | None:
    """Describe a character that cannot stand in a word; return None for every other character.

    Spaces, hyphens, apostrophes, combining marks and joiners may stand in words.
    """
    if character == _BYTE_ORDER_MARK:
        return "the byte-order mark U+FEFF"
    kind = _FORBIDDEN_CATEGORIES.get(unicodedata.category(character))
    return None if kind is None else f"{kind} U+{ord(character):04X}"
