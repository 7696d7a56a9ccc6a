"""Runs ``score``: the names are read, scored in batches, and written as rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from namegen_ext.cli.category_text import describe_accuracy
from namegen_ext.cli.command import ArgumentError, CommandError, ended_by_interrupts
from namegen_ext.cli.exit_status import OK
from namegen_ext.cli.output_file import write_texts
from namegen_ext.cli.row_formats import written_rows
from namegen_ext.data import DataError
from namegen_ext.data.categories import parse_categories
from namegen_ext.data.source_files import STANDARD_INPUT, read_file, read_standard_input
from namegen_ext.data.word_file import parse_words
from namegen_ext.generator import Generator
from namegen_ext.runs.run_errors import RunError
from namegen_ext.sampling import SamplingError
from namegen_ext.scoring.scores import Scores

COLUMNS = ("name", "nll", "nll_per_character", "percentile", "novel", "nearest", "distance", "unknown?")
_WITHOUT_NEAREST = tuple(column for column in COLUMNS if column not in ("nearest", "distance"))
_BATCH = 65536  # names


def run(options: argparse.Namespace) -> int:
    """Score the names and write the rows.

    Raises:
        ArgumentError: the run or the names cannot be read.
        CommandError: the model has diverged, or the rows cannot be written.

    """
    try:
        with ended_by_interrupts(options.prog):  # what reads the arrays may be imported
            generator = Generator.from_run(options.run_dir)
    except RunError as error:
        raise ArgumentError(f"argument RUN_DIR: {error}") from None
    try:
        if options.category is not None:
            parse_categories(options.category, generator.categories, "--category")
        if options.classify and not generator.categories:
            raise ValueError("--classify is for a list with categories, but this run's list has none")
        names = _read_names(options.file)
    except DataError as error:
        raise ArgumentError(f"argument FILE: {error}") from None
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    summary = _Summary()
    batches = _sorted(generator, names, options) if options.sort else _scored(generator, names, options)
    columns = COLUMNS if options.nearest else _WITHOUT_NEAREST
    if options.classify:
        columns = (*columns[:-1], "category", "posterior", columns[-1])
    try:
        write_texts(written_rows(summary.seen(batches), columns, options.format), options.o)
    except SamplingError as error:
        raise CommandError(str(error)) from None
    print(summary.describe(generator.num_names), file=sys.stderr)
    if options.classify:
        print(describe_accuracy(generator.category_report()), file=sys.stderr)
    return OK


def _read_names(file: str) -> list[str]:
    if file == STANDARD_INPUT:
        return parse_words(read_standard_input(), "standard input", distinct=False)
    if not file or "\0" in file:
        raise DataError(f"got {file!r}, expected a path or -")
    return parse_words(read_file(Path(file)), file, distinct=False)


def _score(generator: Generator, names: list[str], options: argparse.Namespace) -> Scores:
    return generator.score(
        names, nearest=options.nearest, category=options.category, classify=options.classify
    )


def _scored(
    generator: Generator, names: list[str], options: argparse.Namespace
) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, len(names), _BATCH):
        yield list(_score(generator, names[begin : begin + _BATCH], options))


def _sorted(
    generator: Generator, names: list[str], options: argparse.Namespace
) -> Iterator[list[dict[str, Any]]]:
    scores = _score(generator, names, options)
    order = scores.order()
    for begin in range(0, len(order), _BATCH):
        yield [scores[place] for place in order[begin : begin + _BATCH]]


class _Summary:
    """Counts what the rows say."""

    def __init__(self) -> None:
        self.names = self.novel = self.unknown = self.characters = 0
        self.nll = 0.0

    def seen(self, batches: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
        for batch in batches:
            for row in batch:
                self.names += 1
                self.novel += row["novel"]
                if "unknown" in row:
                    self.unknown += 1
                else:
                    self.nll += row["nll"]
                    self.characters += round(row["nll"] / row["nll_per_character"])
            yield batch

    def describe(self, num_names: int) -> str:
        noun = "name" if self.names == 1 else "names"
        text = f"{self.names:,} {noun}, {self.novel:,} new (not among the {num_names:,} names of its list)"
        if self.characters:
            text += f"; {self.nll / self.characters:.4f} nats per character"
        if self.unknown:
            text += f"; {self.unknown:,} with a letter that the model does not know, which are left out of the mean"
        return text
