"""How a word list is read: where in a table its words stand, and what is done to them before they are learnt."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from namegen_ext.data.characters import describe_forbidden
from namegen_ext.data.data_errors import DataError, shorten
from namegen_ext.data.title_case import title_case

CASES = ("keep", "lower", "title")
NORMAL_FORMS = ("none", "nfc", "nfkc")

_LONGEST_COMMENT_MARK = 20
_MOST_RARE = 10**9


@dataclass(frozen=True)
class ListFormat:
    """How a word list is read.

    Attributes:
        column: of a table: the name or the number, from 1, of the column with the words. None: the column called "name"
            or the like, else the first.
        count_column: of a table: the column with how often each word counts; None for once each.
        comment: lines that begin with this are passed over; None for none.
        case: "keep"; "lower" for words in lower case; "title" for words that are learnt in lower case and written with
            capital initials when they are drawn.
        normalize: the Unicode normal form that words are brought to: "none", "nfc" or "nfkc".
        rare: words with a character that fewer words than this have are left out; 0 and 1 leave none out.
        category_column: of a table: the column with the category of each word; None for words without categories.

    Raises:
        DataError: a value that cannot be; the message names it.

    Example:
        >>> list_format = ListFormat(case="title")
        >>> list_format.as_learnt("St. Ives"), list_format.as_written("st. ives")
        ('st. ives', 'St. Ives')

    """

    column: str | None = None
    count_column: str | None = None
    comment: str | None = None
    case: str = "keep"
    normalize: str = "none"
    rare: int = 0
    category_column: str | None = None

    def __post_init__(self) -> None:
        for name in ("column", "count_column", "category_column", "comment"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise DataError(f"{name} must be a text, but got {value!r}")
        if self.comment is not None and not is_comment_mark(self.comment):
            raise DataError(f"comment must be a few characters such as '#', but got {shorten(self.comment)}")
        for name, choices in (("case", CASES), ("normalize", NORMAL_FORMS)):
            if getattr(self, name) not in choices:
                raise DataError(
                    f"{name} must be one of {', '.join(choices)}, but got {getattr(self, name)!r}"
                )
        if isinstance(self.rare, bool) or not isinstance(self.rare, int) or not 0 <= self.rare <= _MOST_RARE:
            raise DataError(f"rare must be a whole number from 0 to {_MOST_RARE:,}, but got {self.rare!r}")

    @property
    def is_table(self) -> bool:
        """Whether a column was asked for."""
        asked = (self.column, self.count_column, self.category_column)
        return any(column is not None for column in asked)

    def as_learnt(self, text: str) -> str:
        """Return a word, or the beginning of one, in the form in which words are learnt."""
        text = self._normalized(text)
        # Lower case may leave the normal form, as that of U+0130 does.
        return text if self.case == "keep" else self._normalized(text.lower())

    def _normalized(self, text: str) -> str:
        if self.normalize == "none":
            return text
        return unicodedata.normalize("NFC" if self.normalize == "nfc" else "NFKC", text)

    def as_written(self, text: str) -> str:
        """Return learnt words, one or one a line, in the form in which they are written."""
        return title_case(text) if self.case == "title" else text

    def to_json(self) -> dict[str, Any]:
        """Return the format as a mapping that JSON can hold."""
        content = asdict(self)
        if self.category_column is None:  # as earlier versions have it
            del content["category_column"]
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ListFormat:
        """Make the format that `to_json` described.

        Raises:
            DataError: a value is unknown or cannot be.

        """
        unknown = content.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise DataError(f"reading holds {min(unknown)!r}, which is unknown")
        return cls(**content)


def is_comment_mark(text: str) -> bool:
    """Whether a text can mark the lines that are comments."""
    return (
        0 < len(text) <= _LONGEST_COMMENT_MARK
        and text == text.strip()
        and all(describe_forbidden(character) is None for character in text)
    )
