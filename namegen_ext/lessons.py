"""List and run the lessons: ``python -m namegen_ext.lessons [NAME ...]``.

A lesson shows the code of each step above what it prints, says where its source and its figure are, and ends in
exercises with answers.

Exit status: 0, also when the reader of a pipe had enough; 1 when standard output cannot be written; 2 for a name that
is no lesson; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys

from namegen_ext.cli.command import ArgumentError, Command
from namegen_ext.cli.find_lessons import PACKAGE, find_lessons
from namegen_ext.cli.parser import Parser
from namegen_ext.cli.process import status_of
from namegen_ext.options.ranges import shown

__all__ = ["PACKAGE", "find_lessons", "main"]


def _build_parser(prog: str) -> argparse.ArgumentParser:
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
    return parser


def _check(options: argparse.Namespace) -> argparse.Namespace:
    lessons = find_lessons().LESSONS
    for name in options.names:
        if name not in lessons and name != "all":
            expected = f"expected one of {', '.join(lessons)}, or all"
            raise ArgumentError(f"argument NAME: got {shown(name)}, {expected}")
    return options


main = Command(
    "python -m namegen_ext.lessons", _build_parser, "namegen_ext.cli.run_lessons", check=_check, streams=True
)


if __name__ == "__main__":
    sys.exit(status_of(main))
