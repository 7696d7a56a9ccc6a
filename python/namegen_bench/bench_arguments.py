"""The flags of ``python -m namegen_ext.bench``. Nothing here loads torch, so a wrong flag is reported at once."""

from __future__ import annotations

import argparse

from namegen_bench.names import DEFAULT_SUITES, PEERS, STOCK, SUITES, TIME_TO_LOSS
from namegen_bench.reporting.chart_files import FORMATS
from namegen_ext.cli.parser import Parser, path, problem_with_file, whole_number
from namegen_ext.options.ranges import THREADS, shown

_DESCRIPTION = """\
Measure the fused operators and training steps against stock PyTorch and other peers, on this machine, in
under ten minutes. Peers take turns, sample by sample; times are medians with quartiles; before a time is
shown, the results of all peers have been found equal. Leave the machine alone meanwhile."""

_SUITES_HELP = """\
suites:
  ops           each operator: inference, forward, forward+backward, and its peak memory, over batches; two
                large ones with one and all threads
  train         whole training steps of the bigram, the MLP, the WaveNet and the GPT: minibatch, forward, backward,
                update; each peer in a process of its own, at its best of one and all threads
  scaling       time and peak memory of a step of the MLP with batch norm over batch, hidden size and threads
  sample        drawing names, the making of tables included, at the best of one and all threads; whole processes
  time-to-loss  from the start of a process to a trained MLP of a given dev loss, by each backend of train
  gpu           each operator on a CUDA device, timed by CUDA events, and the bandwidth of a copy

bench quality --lists DIR compares models by their losses, not their speed: bench quality --help"""


def build_parser(prog: str) -> argparse.ArgumentParser:
    """Declare the flags.

    Args:
        prog: the command's name, which stands in its messages.

    """
    parser = Parser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=_SUITES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "suites",
        nargs="*",
        type=_suite,
        metavar="SUITE",
        help=f"what to measure: {', '.join(SUITES)} (default: {' '.join(DEFAULT_SUITES)})",
    )
    add("--csv", type=path, metavar="FILE", help="add the results to a CSV file (default: none)")
    _add_report_flags(parser)
    add(
        "--threads",
        type=whole_number(THREADS),
        metavar="N",
        help="CPU threads of torch (default: 1 for time-to-loss; for the others 1 and as many as there are CPUs, "
        "but 1 when quick)",
    )
    add(
        "--peers",
        type=_peers,
        metavar="NAME,...",
        help=f"measure only these beside stock, of {', '.join(PEERS[1:])} (default: all that can be had)",
    )
    add(
        "--data",
        metavar="NAME|PATH",
        help="word list of time-to-loss, to a dev loss of 2.17, as the makemore names allow; a path, or a name as "
        "train takes it (default: census, to 2.05)",
    )
    add(
        "--quick",
        action="store_true",
        help="a few cases in a few seconds, to see that all works; its times mean nothing (default: off)",
    )
    return parser


def check_together(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Check the flags that depend on each other; end in the parser's error where they do not fit.

    ``namegen_bench.reporting.requested_report`` checks what ``--from``, ``--compare``, ``--plot`` and ``--page`` need
    of each other and of the files that they name.
    """
    problem = None if options.csv is None else problem_with_file(options.csv)
    if problem is not None:
        parser.error(f"argument --csv: {problem}")
    if options.csv is not None and options.csv == options.plot:
        parser.error(f"argument --plot: got {str(options.plot)!r}, expected another file than --csv")
    if options.data is not None and TIME_TO_LOSS not in (options.suites or DEFAULT_SUITES):
        parser.error(f"argument --data: got {shown(options.data)}, expected the suite {TIME_TO_LOSS} with it")


def _add_report_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the flags for the comparison, the charts and the page."""
    add = parser.add_argument
    add(
        "--compare",
        type=path,
        metavar="OLD.csv",
        help="tell what became faster or slower since the results in a CSV file were measured, beyond the noise: "
        "the ranges between the quartiles do not overlap, and the medians are more than 5%% apart (default: none)",
    )
    add(
        "--plot",
        type=path,
        metavar="FILE|DIR",
        help=f"draw charts: all in one file, .{', .'.join(FORMATS)}; or each on its own into a directory, light and "
        "dark, PNG and SVG; needs matplotlib (default: none)",
    )
    add(
        "--from",
        dest="source",
        type=path,
        metavar="FILE.csv",
        help="measure nothing: compare, draw or write the results in a CSV file, of the suites named, or of all "
        "(default: measure)",
    )
    add(
        "--page",
        type=path,
        metavar="FILE.md",
        help="with --from: write all the results as a Markdown page, and its pictures into a directory beside it "
        "that is named like it (default: none)",
    )


def _suite(text: str) -> str:
    if text not in SUITES:
        raise argparse.ArgumentTypeError(f"got {shown(text)}, expected {' or '.join(SUITES)}")
    return text


def _peers(text: str) -> frozenset[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"got {shown(name)}, expected some of {', '.join(PEERS)}")
    return frozenset(names) - {STOCK}
