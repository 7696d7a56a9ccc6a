"""Running the command: it measures and makes the report, or makes the report of what was measured before."""

from __future__ import annotations

import argparse

from rich.console import Console

from namegen_bench.bench_errors import BenchError
from namegen_bench.measuring.machine import available_cpus, this_machine
from namegen_bench.reporting.csv_file import CsvFile, CsvFileError
from namegen_bench.reporting.requested_report import Report
from namegen_bench.reporting.results import results_of
from namegen_ext.cli.command import ArgumentError, CommandError, ended_by_interrupts
from namegen_ext.cli.exit_status import OK

_FILE_WIDTH = 180  # columns of a table where the output is not a terminal


def run(checked: tuple[argparse.Namespace, Report]) -> int:
    """Make the report; measure first where its results are not read from a file.

    Args:
        checked: the arguments, and the report that they ask for.

    Raises:
        ArgumentError: the CSV file cannot be written, or this machine or build lacks the instruction set that was asked
            for.
        CommandError: peers computed different things, a peer failed, or a file could not be written.

    """
    options, report = checked
    try:
        if report.source is not None:
            report.make(report.read, _console())
        else:
            _measure(options, report)
    except BenchError as error:
        raise CommandError(str(error)) from None
    return OK


def _measure(options: argparse.Namespace, report: Report) -> None:
    """Measure the suites, print and keep the results, and make the report."""
    thread_counts = _thread_counts(options)
    with ended_by_interrupts(options.prog):
        from namegen_bench.run_suites import run_suites

    try:
        machine = this_machine(thread_counts[0])
        csv_file = CsvFile(options.csv) if options.csv is not None else None
    except CsvFileError as error:
        raise ArgumentError(f"argument --csv: {error}") from None
    except RuntimeError as error:  # NAMEGEN_CPU_ISA names an instruction set that this machine or build lacks
        raise ArgumentError(str(error)) from None
    console = _console()
    rows = run_suites(options, thread_counts, machine, csv_file, console)
    report.make(results_of(rows), console)


def _thread_counts(options: argparse.Namespace) -> tuple[int, ...]:
    """Return the numbers of threads to measure with. A suite that measures with one number alone takes the first."""
    if options.threads is not None:
        return (options.threads,)
    return (1,) if options.quick else tuple(dict.fromkeys((1, available_cpus())))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)
