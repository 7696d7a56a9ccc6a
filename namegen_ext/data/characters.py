"""The characters that a word may be made of: all but the end marker and those that never belong to a word."""

from __future__ import annotations

import unicodedata

# Symbol 0 of every vocabulary: it fills the context before a word begins, and it ends the word.
END_MARKER = "."

_BYTE_ORDER_MARK = "\ufeff"

# Unicode's general categories. A word with one of these could not stand on a line of a UTF-8 file (line ends,
# surrogates) or shows that the file is not a word list (tabs of a table, NUL bytes of a binary file).
_FORBIDDEN_CATEGORIES = {
    "Cc": "the control character",
    "Cs": "the surrogate",
    "Zl": "the line separator",
    "Zp": "the paragraph separator",
}


def describe_forbidden(character: str) -> str | None:
    """Describe a character that cannot stand in a word; return None for every other character.

    Spaces, hyphens, apostrophes, combining marks and joiners may stand in words.
    """
    if character == END_MARKER:
        return f"the end marker {END_MARKER!r}"
    if character == _BYTE_ORDER_MARK:
        return "the byte-order mark U+FEFF"
    kind = _FORBIDDEN_CATEGORIES.get(unicodedata.category(character))
    return None if kind is None else f"{kind} U+{ord(character):04X}"
