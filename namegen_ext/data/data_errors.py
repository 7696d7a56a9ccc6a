"""The error for data that cannot be used, and how its messages quote a text."""

from __future__ import annotations


class DataError(ValueError):
    """A word list, a vocabulary or a split cannot be had from what was given; the message says why."""


def shorten(text: str, width: int = 40) -> str:
    """Quote a text for a message: escaped, so that it stays on one line, and cut where it is long."""
    return repr(text if len(text) <= width else text[: width - 3] + "...")
