"""The command ``bench quality``: the models of the ladder and ``fit`` on lists of names, in a table.

Exit status: 0 on success; 1 when a list or a file cannot be read or written; 2 for a wrong argument; 130 after Ctrl-C,
with what was measured until then in the CSV file.
"""

from __future__ import annotations

import argparse

from namegen_bench.quality.quality_models import MODELS_BY_NAME
from namegen_ext.cli.command import ArgumentError, Command
from namegen_ext.cli.parser import Parser, path, problem_with_file, whole_number
from namegen_ext.options.ranges import WholeNumbers, shown

QUALITY = "quality"
_SEEDS = WholeNumbers(1, 100)


def _check(options: argparse.Namespace) -> argparse.Namespace:
    if (options.lists is None) == (options.source is None):
        raise ArgumentError("argument --lists: expected it, or --from in its place")
    problem = None if options.csv is None else problem_with_file(options.csv)
    if problem is not None:
        raise ArgumentError(f"argument --csv: {problem}")
    return options


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog=prog,
        description="Fit the models of the ladder, and the mixture that `namegen fit` finds, to lists of names on one "
        "thread, and compare their losses on names that they have not seen, and copies among drawn names. Lists are "
        "taken in lower case, without repeats.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--lists",
        nargs="+",
        type=path,
        metavar="DIR|FILE",
        help="lists of names, one a line; of a directory all .txt",
    )
    add(
        "--seeds",
        type=whole_number(_SEEDS),
        default=5,
        metavar="N",
        help=f"splits of each list, by seeds 1 to N, {_SEEDS.limits} (default: %(default)s)",
    )
    add(
        "--models",
        type=_models,
        default=tuple(MODELS_BY_NAME),
        metavar="NAME,...",
        help=f"which models, of {', '.join(MODELS_BY_NAME)} (default: all)",
    )
    add(
        "--csv",
        type=path,
        metavar="FILE",
        help="add the rows to a CSV file, and do not measure again what it holds (default: none)",
    )
    add(
        "--from",
        dest="source",
        type=path,
        metavar="FILE.csv",
        help="measure nothing: show the rows of a CSV file (default: measure)",
    )
    add(
        "--plot",
        type=path,
        metavar="DIR",
        help="draw the chart into a directory; needs matplotlib (default: none)",
    )
    return parser


def _models(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in MODELS_BY_NAME:
            raise argparse.ArgumentTypeError(
                f"got {shown(name)}, expected some of {', '.join(MODELS_BY_NAME)}"
            )
    return tuple(dict.fromkeys(names))


main = Command(
    "python -m namegen_ext.bench quality", _build_parser, "namegen_bench.quality.run_quality", check=_check
)
