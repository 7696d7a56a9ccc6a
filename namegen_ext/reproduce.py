"""Reproduce published results and compare: ``python -m namegen_ext.reproduce``.

Exit status: 0 when every row came out as published; 1 when one is out of tolerance or a file cannot be
written; 2 for a wrong argument; 130 after Ctrl-C, with the rows done until then in the JSON file.
"""

from __future__ import annotations

import argparse
import sys

from namegen_ext.cli.command import ArgumentError, Command
from namegen_ext.cli.parser import Parser, one_of, path, problem_with_file, whole_number
from namegen_ext.cli.process import status_of
from namegen_ext.data import DataError, WordList, load_words
from namegen_ext.options.choices import FUSED_CHOICES
from namegen_ext.options.ranges import SEEDS, THREADS
from namegen_ext.reproduction import ROWS

DEFAULT_DATA = "makemore"
DEFAULT_THREADS = 1

_DESCRIPTION = """\
Train (or count) what was published, each row by the recipe of its name, and compare the losses: nats per
character, on the split into train, dev and test that the lectures use. Every row can be trained alone, and
sampled from, by `python -m namegen_ext.train --recipe NAME`."""


def _check(options: argparse.Namespace) -> tuple[argparse.Namespace, WordList]:
    """Check what can be checked without torch, and read the words."""
    _check_files(options)
    _check_rows(options)
    try:
        return options, load_words(options.data)
    except DataError as error:
        raise ArgumentError(f"argument --data: {error}") from None


def _check_files(options: argparse.Namespace) -> None:
    """Find out before the first row is trained whether the files can be written. All rows may take hours."""
    for flag, file in (("--json", options.json), ("--markdown", options.markdown)):
        problem = None if file is None else problem_with_file(file)
        if problem is not None:
            raise ArgumentError(f"argument {flag}: {problem}")
    if options.json is not None and options.json == options.markdown:
        raise ArgumentError(
            f"argument --markdown: got {str(options.markdown)!r}, expected another file than --json"
        )


def _check_rows(options: argparse.Namespace) -> None:
    for name in options.only or ():
        if options.quick and not ROWS[name].quick:
            quick = ", ".join(name for name, row in ROWS.items() if row.quick)
            raise ArgumentError(f"argument --only: got {name!r}, expected some of {quick} with --quick")


def _build_parser(prog: str) -> argparse.ArgumentParser:
    quick = ", ".join(name for name, row in ROWS.items() if row.quick)
    parser = Parser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=f"rows: {', '.join(ROWS)}\n\nquick rows: {quick}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--data",
        metavar="PATH",
        default=DEFAULT_DATA,
        help="names.txt of the makemore project; its name, makemore, downloads it once (default: %(default)s)",
    )
    add(
        "--only",
        nargs="+",
        type=one_of(ROWS),
        metavar="NAME",
        help="these rows only (default: all of them, see below)",
    )
    add(
        "--quick",
        action="store_true",
        help="a subset that takes seconds: the counting models, which are exact, and one short training"
        " (default: off)",
    )
    add(
        "--fused",
        nargs="?",
        const="auto",
        type=one_of(FUSED_CHOICES),
        metavar="auto|layers|step",
        help="run on the fused kernels; --fused alone means auto (default: off, stock torch.nn layers)",
    )
    add("--json", type=path, metavar="FILE", help="write the results there (default: nowhere)")
    add("--markdown", type=path, metavar="FILE", help="write the table there (default: nowhere)")
    add(
        "--seed",
        type=whole_number(SEEDS),
        metavar="N",
        help="of weights and minibatches, in place of the recipes' 42 (default: that of each recipe)",
    )
    add(
        "--threads",
        type=whole_number(THREADS),
        metavar="N",
        default=DEFAULT_THREADS,
        help="CPU threads of torch (default: %(default)s)",
    )
    return parser


main = Command(
    "python -m namegen_ext.reproduce", _build_parser, "namegen_ext.cli.run_reproduce", check=_check
)


if __name__ == "__main__":
    sys.exit(status_of(main))
