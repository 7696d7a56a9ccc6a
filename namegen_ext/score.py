"""Tell how likely names are under a trained model: ``python -m namegen_ext.score RUN_DIR [FILE|-]``.

The rows go to standard output, or to a file; a summary goes to standard error.

Exit status: 0 when all rows were written, or the reader of a pipe had enough; 1 when they can't be written, or the
model has diverged; 2 for a wrong argument; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from namegen_ext.cli.command import Command
from namegen_ext.cli.parser import Parser, one_of, output_file, path
from namegen_ext.cli.process import status_of
from namegen_ext.cli.row_formats import FORMATS

_DESCRIPTION = """\
Tell how likely names are under a trained model, in nats, and what in its list they resemble. The columns are the name,
nll (its negative log-likelihood, the end of the name included), nll per character (letters and end), the percentile
(of how many percent of the training names the nll per character is larger), whether it is novel (not in the list), the
nearest name of the list and the edit distance to it, and, where there is one, the first letter that the model does not
know. Such a name has an infinite nll: inf, in JSON null."""


class _Parser(Parser):
    """Takes FILE behind flags too, which argparse by itself takes for no argument once RUN_DIR was there alone."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        return self.parse_intermixed_args(args, namespace)


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=prog, description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("run_dir", metavar="RUN_DIR", type=path, help="the directory that training wrote")
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        default="-",
        help="a UTF-8 file with a name on each line, which gzip may have packed; - for standard input (default: -)",
    )
    parser.add_argument(
        "--format",
        metavar="|".join(FORMATS),
        type=one_of(FORMATS),
        default="lines",
        help="lines: the columns with tabs between them; csv, with a header; one JSON array; or a JSON object a line "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--sort", action="store_true", help="the likeliest names first (default: as they come)"
    )
    parser.add_argument(
        "--nearest",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look for the nearest name of the list, which takes most of the time (default: on)",
    )
    parser.add_argument(
        "--category",
        metavar="C|C:W,C:W",
        help="of a list with categories: the likelihood given one of them, or a mixture of theirs, such as "
        "elf:0.7,dwarf:0.3 (default: each by its share of the training names)",
    )
    parser.add_argument(
        "--classify",
        action="store_true",
        help="of a list with categories: also tell the likeliest category of each name, and the probability of each "
        "given the name, by Bayes' rule; the summary tells how often the right one is found for held-out names",
    )
    parser.add_argument(
        "-o",
        metavar="FILE",
        type=output_file,
        help="write to a file, which is there once it is whole (default: standard output)",
    )
    return parser


main = Command("python -m namegen_ext.score", _build_parser, "namegen_ext.cli.run_score", streams=True)


if __name__ == "__main__":
    sys.exit(status_of(main))
