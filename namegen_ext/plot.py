"""Draw what went on in a run: ``python -m namegen_ext.plot RUN_DIR``.

Exit status: 0 when the pictures and the page were written; 1 when matplotlib is missing or a file could not be
written; 2 for a wrong argument, such as a directory that holds no run.
"""

from __future__ import annotations

import argparse
import sys

from namegen_ext.cli.command import Command
from namegen_ext.cli.parser import Parser, path, whole_number
from namegen_ext.cli.process import status_of
from namegen_ext.diagnostics.diagnosed_examples import DEFAULT_EXAMPLES
from namegen_ext.options.ranges import SEEDS, WholeNumbers
from namegen_ext.runs.directory import PLOTS

DEFAULT_SEED = 0
_EXAMPLES = WholeNumbers(1, 2**20)

_DESCRIPTION = """\
Draw what went on in a run: loss curve, update-to-data ratio (where the run recorded it: train
--record-updates), histograms of activations, saturation and gradients, the embedding, and which symbol follows
which. Writes a PNG for each, and index.html: one page that holds and explains them all. Needs matplotlib:
pip install "namegen_ext[plot]"."""


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog=prog, description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("run_dir", metavar="RUN_DIR", type=path, help="the directory that training wrote")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=path,
        help=f"where to write; files of the same names are replaced (default: RUN_DIR/{PLOTS})",
    )
    parser.add_argument(
        "--fused",
        action="store_true",
        help="look at the model while it runs on fused layers (default: off, stock torch.nn layers)",
    )
    parser.add_argument(
        "--examples",
        metavar="N",
        type=whole_number(_EXAMPLES),
        default=DEFAULT_EXAMPLES,
        help="how many training examples activations and gradients are computed from (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(SEEDS),
        default=DEFAULT_SEED,
        help="of the draw of those examples (default: %(default)s)",
    )
    return parser


main = Command("python -m namegen_ext.plot", _build_parser, "namegen_ext.cli.run_plot")


if __name__ == "__main__":
    sys.exit(status_of(main))
