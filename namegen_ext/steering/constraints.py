"""What can be asked of names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from namegen_ext.data import ListFormat
from namegen_ext.data.data_errors import shorten
from namegen_ext.steering.steering_errors import ConstraintError

# The automaton of a length has a state for each letter, so that the lengths have a limit.
LONGEST = 1000


@dataclass(frozen=True)
class Constraints:
    """What names are to be. All of it holds together; what is not given asks for nothing.

    Args:
        min_length: no name has fewer letters.
        max_length: no name has more letters. A name is not cut there: it ends by itself.
        suffix: every name ends with it.
        contains: every name holds it.
        without: no name holds one of these characters.
        match: a regular expression that the whole name matches; see `namegen_ext.steering.regular_expressions`.
        avoid: no name holds one of these texts, in any case: a list, or the `pathlib.Path` of a file with one a line.
        ignore_case: whether a letter in ``match`` stands for its capital and its small form too.

    Raises:
        ConstraintError: a value that cannot be; the message names it.

    Example:
        >>> Constraints(suffix="a", min_length=4)
        Constraints(min_length=4, suffix='a')
        >>> Constraints().is_empty
        True

    """

    min_length: int | None = None
    max_length: int | None = None
    suffix: str = ""
    contains: str = ""
    without: str = ""
    match: str | None = None
    avoid: Iterable[str] = ()
    ignore_case: bool = False

    def __post_init__(self) -> None:
        for name in ("min_length", "max_length"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LONGEST:
                raise ConstraintError(
                    name, f"must be a whole number from 1 to {LONGEST:,}, but got {shorten(repr(value))}"
                )
        for name in ("suffix", "contains", "without"):
            if not isinstance(getattr(self, name), str):
                raise ConstraintError(name, f"must be a string, but got {getattr(self, name)!r}")
        if self.match is not None and not isinstance(self.match, str):
            raise ConstraintError(
                "match", f"must be a regular expression as a string, but got {self.match!r}"
            )
        object.__setattr__(self, "avoid", _texts(self.avoid))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == Constraints(ignore_case=self.ignore_case)

    def mapped(self, change: Callable[[str], str]) -> Constraints:
        """Return the constraints with each text that stands for letters changed, as a list of names was."""
        return replace(
            self,
            suffix=change(self.suffix),
            contains=change(self.contains),
            without=change(self.without),
        )

    def describe(self) -> str:
        """Name what is asked for: "suffix 'a' and min-length 4"."""
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default or field.name == "ignore_case":
                continue
            name = field.name.replace("_", "-")
            if field.name == "avoid":
                parts.append(f"{name} ({len(value):,} {'text' if len(value) == 1 else 'texts'})")
            else:
                parts.append(f"{name} {value if isinstance(value, int) else shorten(value)}")
        return " and ".join(parts)

    def __repr__(self) -> str:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        asked = [f"{name}={value!r}" for name, value in given.items() if value not in (None, "", (), False)]
        return f"Constraints({', '.join(asked)})"


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, os.PathLike):
        return read_avoided(value)
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise ConstraintError("avoid", f"must be a list of strings, or the path of a file, but got {value!r}")
    texts = tuple(value)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ConstraintError("avoid", f"must hold strings of one character at least, but holds {text!r}")
    return texts


def read_avoided(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read the texts that no name is to hold: one on each line of a UTF-8 file; empty lines are passed over.

    Raises:
        ConstraintError: the file cannot be read, or holds no text; the message says why.

    """
    expected = "must be the path of a UTF-8 file with a text on each line"
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConstraintError(
            "avoid", f"{expected}, but got {shorten(os.fspath(path), 200)}: {reason}"
        ) from None
    texts = tuple(line.strip() for line in text.split("\n") if line.strip())
    if not texts:
        raise ConstraintError("avoid", f"{expected}, but {shorten(os.fspath(path), 200)} is empty")
    return texts


def take_constraints(options: dict[str, Any], reading: ListFormat) -> Constraints:
    """Take the constraints out of the options of a stream, as its list's names were learnt.

    Args:
        options: those that are constraints are removed.
        reading: how the list was read.

    Raises:
        ConstraintError: a constraint that cannot be.
        ValueError: there is an option ``constraints``.

    Example:
        >>> from namegen_ext.data import ListFormat
        >>> from namegen_ext.steering import take_constraints
        >>> options = {"suffix": "A", "top_k": 3}
        >>> take_constraints(options, ListFormat(case="lower")).suffix, options
        ('a', {'top_k': 3})

    """
    names = [field.name for field in fields(Constraints) if field.name != "ignore_case"]
    if "constraints" in options:
        raise ValueError(f"constraints must be given one by one here, as {', '.join(names)}")
    given = {name: options.pop(name) for name in names if name in options}
    return Constraints(**given, ignore_case=reading.case != "keep").mapped(reading.as_learnt)
