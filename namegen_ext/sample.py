"""Draw names from a trained model: ``python -m namegen_ext.sample RUN_DIR``.

The names go to standard output, one a line, as they are drawn. How many of them are new goes to standard error.

Exit status: 0 when all names were written, or the reader of a pipe had enough; 1 when the model cannot give
the names asked for, or they can't be written; 2 for a wrong argument; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys

from namegen_ext.cli.command import Command
from namegen_ext.cli.parser import Parser, number, one_of, output_file, path, whole_number
from namegen_ext.cli.process import status_of
from namegen_ext.cli.row_formats import FORMATS
from namegen_ext.options.ranges import SEEDS, Numbers, WholeNumbers

DEFAULT_COUNT = 20
DEFAULT_TEMPERATURE = 1.0
# 10**12 names take a day or more.
_COUNTS = WholeNumbers(1, 10**12)
_SYMBOLS = WholeNumbers(
    1, 0x110000
)  # as many as Unicode has; the number of a model's symbols is known when it is loaded
_LENGTHS = WholeNumbers(1, 1000)
_SIMILARITIES = Numbers(0.0, 1.0)
DEFAULT_WITHIN = 2
_DISTANCES = WholeNumbers(1, 3)
_TEMPERATURES = Numbers(0.0, 1e38, low_is_open=True)


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog=prog,
        description="Draw names from a trained model. The names go to standard output, one a line; how many "
        "of them are new goes to standard error.",
        allow_abbrev=False,
    )
    parser.add_argument("run_dir", metavar="RUN_DIR", type=path, help="the directory that training wrote")
    parser.add_argument(
        "-n",
        metavar="N",
        type=whole_number(_COUNTS),
        default=DEFAULT_COUNT,
        help=f"how many names, {_COUNTS.limits} (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        metavar="X",
        type=number(_TEMPERATURES, hint=" (--top-k 1 gives the likeliest name)"),
        default=DEFAULT_TEMPERATURE,
        help="below 1 the names become likelier, above 1 more varied; greater than 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--top-k",
        metavar="K",
        type=whole_number(_SYMBOLS),
        help="draw each letter among the K likeliest only (default: all)",
    )
    parser.add_argument(
        "--prefix", metavar="S", default="", help="the letters that each name starts with (default: none)"
    )
    _add_constraints(parser)
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(SEEDS),
        help="the same seed draws the same names (default: a new one each time, named on standard error)",
    )
    parser.add_argument(
        "--novel",
        action="store_true",
        help="leave out every name of its list, the dev and test names too, whatever its case (default: keep them)",
    )
    parser.add_argument("--unique", action="store_true", help="leave out repeats (default: keep them)")
    parser.add_argument(
        "--max-similarity",
        metavar="X",
        type=number(_SIMILARITIES),
        help="leave out names that are more similar than this to any name of its list, whatever the case: 1 - edit "
        f"distance / the longer one's letters, {_SIMILARITIES.limits} (default: keep all)",
    )
    parser.add_argument(
        "--like",
        metavar="NAME",
        help="draw names near this one alone: from the model's own distribution given that the edit distance is at "
        "most --within (default: from all names)",
    )
    parser.add_argument(
        "--within",
        metavar="D",
        type=whole_number(_DISTANCES),
        help=f"the largest edit distance from --like, {_DISTANCES.limits} (default: {DEFAULT_WITHIN})",
    )
    parser.add_argument(
        "--category",
        metavar="C|C:W,C:W|all",
        help="of a list with categories: one of them; a mixture of their distributions, such as elf:0.7,dwarf:0.3, by "
        "weights that sum to 1; or all: N names of each in turn, each with its category before it (default: each as "
        "often as among the training names)",
    )
    parser.add_argument(
        "--format",
        metavar="|".join(FORMATS),
        type=one_of(FORMATS),
        default="lines",
        help="lines: the names alone; csv, json (one array) and jsonl (an object a line) tell of each name its nll (in "
        "nats, at temperature 1), whether it is novel, and the nearest name of the list (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        metavar="FILE",
        type=output_file,
        help="write to a file, which is there once it is whole (default: standard output)",
    )
    return parser


def _add_constraints(parser: argparse.ArgumentParser) -> None:
    """Add what names can be asked to be. All of it holds together, and none of it changes how likely a name is."""
    group = parser.add_argument_group(
        "constraints",
        "What each name is to be. The names are the model's own, given that they meet all of these together.",
    )
    group.add_argument(
        "--min-length", metavar="N", type=whole_number(_LENGTHS), help=f"letters at least, {_LENGTHS.limits}"
    )
    group.add_argument(
        "--max-length",
        metavar="N",
        type=whole_number(_LENGTHS),
        help=f"letters at most, {_LENGTHS.limits}; no name is cut for it (default: names that do not end within 64 "
        "letters, or one more than the longest of the list has, are left out and counted)",
    )
    group.add_argument("--suffix", metavar="S", default="", help="the letters that each name ends with")
    group.add_argument(
        "--contains", metavar="S", default="", help="letters that each name holds, one after another"
    )
    group.add_argument("--without", metavar="CHARS", default="", help="characters that no name holds")
    group.add_argument(
        "--match",
        metavar="REGEX",
        help="a regular expression of the whole name, such as '[aeiou].*(n|r)a?'; without back-references and looking "
        "around",
    )
    group.add_argument(
        "--avoid",
        metavar="FILE",
        type=path,
        help="a file with texts that no name holds, one on each line, in any case",
    )


main = Command("python -m namegen_ext.sample", _build_parser, "namegen_ext.cli.run_sample", streams=True)


if __name__ == "__main__":
    sys.exit(status_of(main))
