"""``namegen fit LIST``: the best model for a list of names, found by itself.

Exit status: 0 when the model was found and written; 1 when memory ran out, or a file could not be written; 2 for a
wrong argument; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from namegen_ext.cli.command import Command
from namegen_ext.cli.parser import Parser, path
from namegen_ext.cli.process import status_of
from namegen_ext.cli.train_flags import (
    add_format_flags,
    add_option,
    add_threads,
    given_format,
    given_options,
    given_settings,
)
from namegen_ext.cli.train_plan import TrainPlan, blamed, check_learns_categories, plan_of_words
from namegen_ext.data import DataError, ListFormat, load_words
from namegen_ext.options.recipes import BEST_RECIPE, RECIPES
from namegen_ext.options.run_settings import RunSettings

_DESCRIPTION = """\
Find the best model for a list of names, and write a run directory from which `namegen sample` draws new ones. Counts
and networks are tried, and combined by how they do on names that are held out; what was tried is told in a table, with
the loss on test names that no choice was made by. In the end the model is trained on all names, unless told
otherwise."""


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog=prog, description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument(
        "list",
        nargs="+",
        metavar="LIST",
        help="census|surnames|makemore, a UTF-8 file with a name on each line, a table (.csv, .tsv), either of them"
        " packed by gzip, or - for standard input; several make one list",
    )
    parser.add_argument(
        "--out", type=path, metavar="DIR", help="new run directory (default: runs/mixture-DATA-NUMBER)"
    )
    add_option(
        parser,
        "budget",
        "seconds for all of it; 0: 10 for up to 10,000 names, 60 for 90,000, and so on",
    )
    parser.add_argument(
        "--refit",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="train on all names in the end; --no-refit keeps the dev and test names out for good (default: on)",
    )
    add_option(parser, "seed", "of the weights and the minibatches")
    add_option(parser, "split_seed", "of the split into train, dev and test")
    add_threads(parser)
    add_format_flags(parser)
    return parser


def _plan(parsed: argparse.Namespace) -> TrainPlan:
    reading = ListFormat(**given_format(parsed))
    with blamed("LIST", DataError):
        words = load_words(parsed.list, reading)
    options = RECIPES[BEST_RECIPE].train_options(given_options(parsed))
    check_learns_categories(words, options)
    plan = plan_of_words(
        words,
        recipe=BEST_RECIPE,
        options=options,
        out=parsed.out,
        settings=RunSettings(**given_settings(parsed)),
        reading=reading,
    )
    return replace(plan, list_argument="LIST")


main = Command("namegen fit", _build_parser, "namegen_ext.cli.run_fit", check=_plan, tells_names=True)


if __name__ == "__main__":
    sys.exit(status_of(main))
