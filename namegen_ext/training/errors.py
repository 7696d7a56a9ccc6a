"""What can go wrong in a training run, each told in one message."""

from __future__ import annotations


class RunError(ValueError):
    """A run directory cannot be made, read or resumed; the message is one line, whatever was found there."""

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_printable, message)))


class BackendError(ValueError):
    """The backend or device that was asked for cannot be had; the message says why."""


class ProcessLostError(RuntimeError):
    """Another process of a data-parallel run has ended, so that this one cannot go on."""


class TrainingDivergedError(RuntimeError):
    """The loss or a parameter is no longer finite.

    Attributes:
        step: the step, counted from 1, at which that was seen.

    """

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step


def one_line(text: object, width: int = 300) -> str:
    """Return a text that something else made, such as another library's message, as part of a line."""
    line = " ".join(str(text).split())
    return line if len(line) <= width else f"{line[:width]}..."


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
