"""Measuring the suites that were asked for, one after another. This loads torch."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby

import torch
from rich.console import Console

from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.machine import Machine
from namegen_bench.measuring.rates import measure_rates
from namegen_bench.measuring.settings import FULL, QUICK
from namegen_bench.names import DEFAULT_SUITES, SCALING, TRAIN
from namegen_bench.reporting.csv_file import CsvFile, Row, rows_of
from namegen_bench.reporting.terminal_tables import LEGEND, print_comparisons
from namegen_bench.suites.all_suites import SUITE_FUNCTIONS


def run_suites(
    options: argparse.Namespace,
    thread_counts: Sequence[int],
    machine: Machine,
    csv_file: CsvFile | None,
    console: Console,
) -> list[Row]:
    """Measure the suites; print a table as soon as it is complete, and add each comparison to the CSV file at once.

    Args:
        options: the parsed arguments of the command.
        thread_counts: the numbers of threads to measure with. torch uses the first where a suite sets no other.
        machine: the machine, for the rows.
        csv_file: the file to add the rows to; None for no file.
        console: where the tables are printed.

    Returns:
        The rows of all suites, in the order in which they were measured.

    Raises:
        BenchError: peers computed different things, a peer failed, or the file could not be written.

    """
    with _threads(thread_counts[0]):
        console.print(str(machine), highlight=False, markup=False)
        if options.quick:
            console.print("quick: shows that all works; the times mean nothing", highlight=False)
        for threads in thread_counts:
            console.print(f"{_thread_words(threads)}: {measure_rates(threads)}", highlight=False)
        console.print(f"{LEGEND}\n", highlight=False)

        rows: list[Row] = []
        for suite in dict.fromkeys(options.suites or DEFAULT_SUITES):
            began = time.perf_counter()
            comparisons = _measured(suite, options, thread_counts, machine, csv_file, rows)
            for _, table in groupby(comparisons, key=_table_of):
                print_comparisons(list(table), console)
            console.print(f"{suite} took {time.perf_counter() - began:.0f} s\n", highlight=False)
        if csv_file is not None:
            console.print(f"rows added to {csv_file.path}", highlight=False, markup=False)
        return rows


def _measured(
    suite: str,
    options: argparse.Namespace,
    thread_counts: Sequence[int],
    machine: Machine,
    csv_file: CsvFile | None,
    rows: list[Row],
) -> Iterator[Comparison]:
    """Yield a suite's comparisons; add the rows of each to the CSV file and to the list before it is yielded."""
    # What is being measured is shown on standard error, and only where that is a terminal.
    status = Console(stderr=True).status("")
    settings = replace(QUICK if options.quick else FULL, data=options.data)

    def tell(what: str) -> None:
        status.update(f"{suite}: {what}")

    with status:
        for comparison in SUITE_FUNCTIONS[suite](settings, thread_counts, options.peers, tell):
            found = rows_of(comparison, machine)
            if csv_file is not None:
                csv_file.add(found)
            rows += found
            yield comparison


def _table_of(comparison: Comparison) -> tuple[str, ...]:
    """Return what all lines of one table share. A table of whole steps holds all models of the suite."""
    if comparison.suite in (TRAIN, SCALING):
        return (comparison.suite,)
    return comparison.suite, comparison.case, comparison.sizes


def _thread_words(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use ``number`` threads in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
