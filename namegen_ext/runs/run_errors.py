"""The error for a run directory that cannot be used, whose message is one line."""

from __future__ import annotations


class RunError(ValueError):
    """A run directory cannot be made, read or resumed; the message is one line, whatever was found there."""

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_printable, message)))


def one_line(text: object, width: int = 300) -> str:
    """Return a text of another origin, such as another library's message, in a form that fits into one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= width else f"{line[:width]}..."


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
