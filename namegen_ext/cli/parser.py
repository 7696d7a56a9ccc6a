"""What all commands share: a parser whose errors are one line, and the values that flags take.

Nothing here needs torch, so that a wrong flag is reported at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import textwrap
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NoReturn

from namegen_ext.cli.exit_status import WRONG_ARGUMENT
from namegen_ext.options.ranges import Numbers, WholeNumbers, shown


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Write the line to standard error and exit with WRONG_ARGUMENT."""
        # argparse quotes some values as they came, with their line ends.
        line = "".join(part if part.isprintable() else repr(part)[1:-1] for part in message)
        self.exit(WRONG_ARGUMENT, f"{self.prog}: error: {line}\n")


def whole_number(allowed: WholeNumbers) -> Callable[[str], int]:
    """Make the ``type`` of a flag that takes a whole number."""

    def parse(text: str) -> int:
        try:
            return allowed.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"got {shown(text)}, {error}") from None

    return parse


def number(allowed: Numbers, hint: str = "") -> Callable[[str], float]:
    """Make the ``type`` of a flag that takes a number; the hint stands at the end of the message."""

    def parse(text: str) -> float:
        try:
            return allowed.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"got {shown(text)}, {error}{hint}") from None

    return parse


def one_of(choices: Collection[str]) -> Callable[[str], str]:
    """Make the ``type`` of a flag that takes one of a few names."""

    def parse(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"got {shown(text)}, expected one of {', '.join(choices)}")
        return text

    return parse


def path(text: str) -> Path:
    """Read a path: the ``type`` of a flag that takes one."""
    # Path("") would be the working directory.
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"got {shown(text)}, expected a path")
    return Path(text)


def listing(entries: Mapping[str, str]) -> str:
    """Write names and their descriptions in two columns, as wide as the terminal; each line begins with its end."""
    indent = max(map(len, entries)) + 4
    width = max(shutil.get_terminal_size().columns - 2, indent + 24)  # as argparse has it
    return "".join(
        "\n"
        + textwrap.fill(
            f"  {name:<{indent - 2}}{summary}",
            width,
            subsequent_indent=" " * indent,
            break_on_hyphens=False,
        )
        for name, summary in entries.items()
    )


def output_file(text: str) -> Path:
    """Read the path of a file to write: the ``type`` of a flag that takes one."""
    file = path(text)
    problem = problem_with_file(file)
    if problem is not None:
        raise argparse.ArgumentTypeError(problem)
    return file


def problem_with_file(file: Path) -> str | None:
    """Say why a file cannot be written, before anything is computed for it; return None where it seems possible."""
    folder = file.absolute().parent
    if file.is_dir():
        return f"got {str(file)!r}, which is a directory, expected a file"
    if not folder.is_dir():
        return f"got {str(file)!r}, whose directory does not exist, expected a file in one that does"
    if not os.access(folder, os.W_OK):
        return f"got {str(file)!r}, whose directory cannot be written to, expected a file in one that can"
    return None
