"""Measure speed and memory on this machine: ``python -m namegen_ext.bench [SUITE ...]``.

With ``--from FILE.csv``, show what was measured before: compare it, draw it, write a page of it.

Exit status: 0; 1 when peers computed different things, a peer failed, or a file could not be written; 2 for a wrong
argument; 130 after Ctrl-C, with what was measured until then in the CSV file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby

import torch
from rich.console import Console

from namegen_bench.agreement import DisagreementError
from namegen_bench.comparison import STOCK, Comparison
from namegen_bench.csv_file import CsvFile, CsvFileError, rows_of
from namegen_bench.gpu import NoGpuError
from namegen_bench.machine import Machine, available_cpus, this_machine
from namegen_bench.plot import PlotError
from namegen_bench.rates import measure_rates
from namegen_bench.report import Report, ReportError, add_report_arguments, check_report
from namegen_bench.results import results_of
from namegen_bench.settings import FULL, QUICK
from namegen_bench.suites import DEFAULT_SUITES, PEERS, SUITES, TIME_TO_LOSS
from namegen_bench.tables import LEGEND, print_comparisons
from namegen_bench.time_to_loss import TrainingFailedError
from namegen_bench.workers import WorkerError
from namegen_ext.cli.parser import Parser, path, problem_with_file, whole_number
from namegen_ext.data import DataError, load_words
from namegen_ext.options.ranges import THREADS, shown

INTERRUPTED = 130  # 128 + SIGINT, as shells count
_FILE_WIDTH = 180  # columns of a table where the output is not a terminal

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
  sample        drawing names, the making of tables included, at the best of one and all threads
  time-to-loss  from the start of a process to a trained MLP of a given dev loss, by each backend of train
  gpu           each operator on a CUDA device, timed by CUDA events, and the bandwidth of a copy"""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.bench") -> int:
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
    _check_flags(parser, options)
    try:
        thread_counts = _thread_counts(options)
        machine = this_machine(thread_counts[0])
        if options.data is not None:
            load_words(options.data)
        report = check_report(options)
        csv_file = CsvFile(options.csv) if options.csv is not None else None
    except DataError as error:
        parser.error(f"argument --data: {error}")
    except ReportError as error:
        parser.error(str(error))
    except CsvFileError as error:
        parser.error(f"argument --csv: {error}")
    except RuntimeError as error:  # NAMEGEN_CPU_ISA names what cannot be had
        parser.error(str(error))
    try:
        if report.source is not None:
            report.make(report.read, _console())
            return 0
        with _threads(thread_counts[0]):
            _run(options, thread_counts, machine, csv_file, report)
    except (
        DisagreementError,
        CsvFileError,
        NoGpuError,
        PlotError,
        TrainingFailedError,
        WorkerError,
    ) as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _check_flags(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    problem = None if options.csv is None else problem_with_file(options.csv)
    if problem is not None:
        parser.error(f"argument --csv: {problem}")
    if options.csv is not None and options.csv == options.plot:
        parser.error(f"argument --plot: got {str(options.plot)!r}, expected another file than --csv")
    if options.data is not None and TIME_TO_LOSS not in (options.suites or DEFAULT_SUITES):
        parser.error(f"argument --data: got {shown(options.data)}, expected the suite {TIME_TO_LOSS} with it")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def _run(
    options: argparse.Namespace,
    thread_counts: Sequence[int],
    machine: Machine,
    csv_file: CsvFile | None,
    report: Report,
) -> None:
    console = _console()
    console.print(str(machine), highlight=False, markup=False)
    if options.quick:
        console.print("quick: shows that all works; the times mean nothing", highlight=False)
    for threads in thread_counts:
        console.print(f"{_thread_words(threads)}: {measure_rates(threads)}", highlight=False)
    console.print(f"{LEGEND}\n", highlight=False)

    everything: list[Comparison] = []
    for suite in dict.fromkeys(options.suites or DEFAULT_SUITES):
        began = time.perf_counter()
        comparisons = _measured(suite, options, thread_counts, machine, csv_file, everything)
        for _, table in groupby(comparisons, key=_table_of):
            print_comparisons(list(table), console)
        console.print(f"{suite} took {time.perf_counter() - began:.0f} s\n", highlight=False)
    if options.csv is not None:
        console.print(f"rows added to {options.csv}", highlight=False, markup=False)
    report.make(results_of(row for one in everything for row in rows_of(one, machine)), console)


def _measured(
    suite: str,
    options: argparse.Namespace,
    thread_counts: Sequence[int],
    machine: Machine,
    csv_file: CsvFile | None,
    everything: list[Comparison],
) -> Iterator[Comparison]:
    """Yield a suite's comparisons, each kept in the CSV file and the list as soon as it is there."""
    # What is being measured goes to standard error, and only where somebody watches.
    status = Console(stderr=True).status("")
    settings = replace(QUICK if options.quick else FULL, data=options.data)

    def tell(what: str) -> None:
        status.update(f"{suite}: {what}")

    with status:
        for comparison in SUITES[suite](settings, thread_counts, options.peers, tell):
            if csv_file is not None:
                csv_file.add(rows_of(comparison, machine))
            everything.append(comparison)
            yield comparison


def _table_of(comparison: Comparison) -> tuple[str, ...]:
    """What all lines of one table share: a table of whole steps holds all its models."""
    if comparison.suite in ("train", "scaling"):
        return (comparison.suite,)
    return comparison.suite, comparison.case, comparison.sizes


def _thread_counts(options: argparse.Namespace) -> tuple[int, ...]:
    """The numbers of threads to measure with, the first being that of what is measured with one alone."""
    if options.threads is not None:
        return (options.threads,)
    return (1,) if options.quick else tuple(dict.fromkeys((1, available_cpus())))


def _thread_words(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use so many threads within."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _build_parser(prog: str) -> argparse.ArgumentParser:
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
    add_report_arguments(add)
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


if __name__ == "__main__":
    sys.exit(main())
