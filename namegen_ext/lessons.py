"""List and run the lessons: ``python -m namegen_ext.lessons [NAME ...]``.

A lesson shows the code of each step above what it prints, says where its source and its figure are, and ends in
exercises with answers.

Exit status: 0, also when the reader of a pipe had enough; 1 when standard output cannot be written; 2 for a name that
is no lesson; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from namegen_ext.cli.command import ArgumentError, run_command
from namegen_ext.cli.find_lessons import PACKAGE, find_lessons
from namegen_ext.cli.parser import Parser
from namegen_ext.cli.process import status_of
from namegen_ext.options.ranges import shown

__all__ = ["PACKAGE", "find_lessons", "main"]


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.lessons") -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; None takes those of the process.
        prog: the command's name, for its messages.

    Returns:
        The exit status.

    Raises:
        SystemExit: with status 0 after --help, with 2 after a wrong argument.

    """
    parser = Parser(prog=prog, description="List the lessons, or run some of them.", allow_abbrev=False)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="lessons to run in this order, or 'all' (default: list them)"
    )
    parser.add_argument(
        "--no-code",
        dest="code",
        action="store_false",
        help="print what a lesson prints, without the code that prints it",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="write the figures there (default: a folder namegen_lessons among the temporary files)",
    )
    return run_command(parser, arguments, "namegen_ext.cli.run_lessons", check=_check, streams=True)


def _check(options: argparse.Namespace) -> argparse.Namespace:
    lessons = find_lessons().LESSONS
    for name in options.names:
        if name not in lessons and name != "all":
            expected = f"expected one of {', '.join(lessons)}, or all"
            raise ArgumentError(f"argument NAME: got {shown(name)}, {expected}")
    return options


if __name__ == "__main__":
    sys.exit(status_of(main))
