"""Draw what went on in a run: ``python -m namegen_ext.plot RUN_DIR``.

Exit status: 0 when the pictures and the page were written; 1 when matplotlib is missing or a file could not be
written; 2 for a wrong argument, such as a directory that holds no run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from namegen_ext.cli.parser import Parser, path, whole_number
from namegen_ext.diagnostics import DEFAULT_EXAMPLES, diagnose
from namegen_ext.options.ranges import SEEDS, WholeNumbers
from namegen_ext.plotting.picture import PlotError, check_matplotlib
from namegen_ext.plotting.report_files import render_report
from namegen_ext.runs.files import write_bytes
from namegen_ext.training import RunError, load_run

DEFAULT_SEED = 0
DEFAULT_FOLDER = "plots"
_EXAMPLES = WholeNumbers(1, 2**20)

_DESCRIPTION = """\
Draw what went on in a run: loss curve, update-to-data ratio (where the run recorded it: train
--record-updates), histograms of activations, saturation and gradients, the embedding, and which symbol follows
which. Writes a PNG for each, and index.html: one page that holds and explains them all. Needs matplotlib:
pip install "namegen_ext[plot]"."""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.plot") -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; None takes those of the process.
        prog: the command's name, for its messages.

    Returns:
        The exit status.

    Raises:
        SystemExit: with status 0 after --help, with 2 after a wrong argument.

    """
    parser = _build_parser(prog)
    options = parser.parse_args(arguments)
    try:
        check_matplotlib()
        return _run(parser, options)
    except PlotError as error:
        return _fail(prog, str(error))
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    torch.set_num_threads(1)  # one batch of a small model: a second thread gains nothing
    try:
        run = load_run(options.run_dir)
        diagnosis = diagnose(run, fused=options.fused, examples=options.examples, seed=options.seed)
    except RunError as error:
        parser.error(f"argument RUN_DIR: {error}")
    if options.fused and diagnosis.layers != "fused":
        print("no layer of the model can be fused; looking at the stock ones", file=sys.stderr)
    directory: Path = options.out or options.run_dir / DEFAULT_FOLDER
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{directory}: cannot be made: {error.strerror or error}"
        if options.out is None:
            return _fail(parser.prog, problem)
        parser.error(f"argument --out: {problem}")
    files, missing = render_report(diagnosis)
    try:
        written = _write(files, directory)
    except RunError as error:
        return _fail(parser.prog, str(error))
    for sentence in missing:
        print(sentence)
    for file in written:
        print(file)
    return 0


def _write(files: Mapping[str, bytes], directory: Path) -> list[Path]:
    """Write files into a directory, in their order; those that are there are replaced.

    Raises:
        RunError: a file cannot be written.

    """
    written = []
    for name, content in files.items():
        written.append(directory / name)
        write_bytes(written[-1], content)
    return written


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog=prog, description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("run_dir", metavar="RUN_DIR", type=path, help="the directory that training wrote")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=path,
        help=f"where to write; files of the same names are replaced (default: RUN_DIR/{DEFAULT_FOLDER})",
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


def _fail(prog: str, message: str) -> int:
    print(f"{prog}: error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
