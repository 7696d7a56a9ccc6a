"""The command ``python -m namegen_ext.bench [SUITE ...]``: measure speed and memory on this machine.

With ``--from FILE.csv`` it measures nothing: it compares, draws or writes a page of the results in the file.

Exit status: 0 on success; 1 when peers computed different things, a peer failed, or a file could not be written; 2 for
a wrong argument; 130 after Ctrl-C, with what was measured until then in the CSV file.

torch is loaded to measure, and only once all arguments are known to be right. ``--help``, a wrong flag and ``--from``
do not wait for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from namegen_bench.arguments import build_parser, check_together
from namegen_bench.errors import BenchError
from namegen_bench.measuring.machine import available_cpus, this_machine
from namegen_bench.reporting.csv_file import CsvFile, CsvFileError
from namegen_bench.reporting.requested_report import Report, ReportError, check_report
from namegen_bench.reporting.results import results_of

INTERRUPTED = 130  # 128 + SIGINT, as shells count
_FILE_WIDTH = 180  # columns of a table where the output is not a terminal


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.bench") -> int:
    """Run the command.

    Args:
        arguments: what stands after the command's name; None takes the arguments of the process.
        prog: the command's name, which stands in its messages.

    Returns:
        The exit status.

    Raises:
        SystemExit: with status 0 after --help, with 2 after a wrong argument.

    """
    parser = build_parser(prog)
    options = parser.parse_args(arguments)
    check_together(parser, options)
    try:
        report = check_report(options)
        if report.source is not None:
            report.make(report.read, _console())
        else:
            _measure(parser, options, report)
    except ReportError as error:
        parser.error(str(error))
    except BenchError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _measure(parser: argparse.ArgumentParser, options: argparse.Namespace, report: Report) -> None:
    """Measure the suites, print and keep the results, and make the report."""
    _check_data(parser, options)
    thread_counts = _thread_counts(options)
    try:
        machine = this_machine(thread_counts[0])
        csv_file = CsvFile(options.csv) if options.csv is not None else None
    except CsvFileError as error:
        parser.error(f"argument --csv: {error}")
    except RuntimeError as error:  # NAMEGEN_CPU_ISA names an instruction set that this machine or build lacks
        parser.error(str(error))

    from namegen_bench.run_suites import run_suites

    console = _console()
    rows = run_suites(options, thread_counts, machine, csv_file, console)
    report.make(results_of(rows), console)


def _check_data(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.data is None:
        return
    from namegen_ext.data import DataError, load_words

    try:
        load_words(options.data)
    except DataError as error:
        parser.error(f"argument --data: {error}")


def _thread_counts(options: argparse.Namespace) -> tuple[int, ...]:
    """Return the numbers of threads to measure with. A suite that measures with one number alone takes the first."""
    if options.threads is not None:
        return (options.threads,)
    return (1,) if options.quick else tuple(dict.fromkeys((1, available_cpus())))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)
