"""What the commands of this package share: their arguments, and one clear line where the words cannot be read."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from namegen_reference.words import WordsError, read_words


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Write the line to standard error and exit with status 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def build_parser(part: str, description: str, words: bool = True) -> Parser:
    """Build the parser of ``python -m namegen_reference.<part>``."""
    parser = Parser(prog=f"python -m namegen_reference.{part}", description=description, allow_abbrev=False)
    if words:
        parser.add_argument(
            "words",
            metavar="NAMES_FILE",
            help="a UTF-8 file with a word on each line, or census or surnames, which come with the package",
        )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=1, help="of everything drawn (default: %(default)s)"
    )
    return parser


def read_words_or_exit(parser: Parser, path: str) -> list[str]:
    """Read the words; where that fails, say why in one line and exit with status 2."""
    try:
        return read_words(_embedded(path) or path)
    except OSError as error:
        parser.error(f"argument NAMES_FILE: {path}: {error.strerror or error}")
    except WordsError as error:
        parser.error(f"argument NAMES_FILE: {error}")


def _embedded(name: str) -> str | None:
    """Find a list that comes with namegen_ext, such as "census". Its file is read without importing the package."""
    package = importlib.util.find_spec("namegen_ext")
    if package is None or package.origin is None or not name.isidentifier():
        return None
    file = Path(package.origin).parent / "data" / "files" / f"{name}.txt"
    return str(file) if file.is_file() else None


def run(main: Callable[[], int]) -> int:
    """Run a command; return its exit status. It is 0 where the reader closes the pipe, and 130 after Ctrl-C."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output once more when it exits. That must not fail, so the rest goes to /dev/null.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return 0
    except KeyboardInterrupt:
        return 130
    return status
