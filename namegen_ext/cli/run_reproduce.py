"""Runs ``reproduce``: trains the rows one after another, and writes what came out."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console

from namegen_ext._version import __version__
from namegen_ext.cli.command import ArgumentError, CommandError
from namegen_ext.cli.exit_status import FAILED, OK
from namegen_ext.data import DataError, WordList
from namegen_ext.options.train_options import OptionError
from namegen_ext.reproduction import ROWS, Outcome, Row, run_row
from namegen_ext.reproduction.outcome_tables import print_table, summarise, to_json, to_markdown
from namegen_ext.runs.files import write_bytes, write_json
from namegen_ext.runs.run_errors import RunError
from namegen_ext.training.training_errors import BackendError

# The names.txt that all the published figures are about.
PUBLISHED_WORDS = 32_033
_FILE_WIDTH = 160  # columns of the table where the output is not a terminal


def run(checked: tuple[argparse.Namespace, WordList]) -> int:
    """Train the rows.

    Args:
        checked: the arguments, and the words.

    Returns:
        OK where every row came out as published, else FAILED.

    Raises:
        ArgumentError: a backend cannot be had, or the words do not suit the rows.
        CommandError: a file cannot be written.
        KeyboardInterrupt: with how many rows were done.

    """
    options, words = checked
    threads_before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    outcomes: list[Outcome] = []
    try:
        _run_rows(_chosen(options), options, words, outcomes)
    except BackendError as error:
        raise ArgumentError(f"argument --fused: {error}") from None
    except DataError as error:
        raise ArgumentError(f"argument --data: {error}") from None
    except OptionError as error:  # an option of a row's recipe asks too much of these words
        raise ArgumentError(f"argument --data: the words do not suit the rows: {error}") from None
    except RunError as error:
        raise CommandError(str(error)) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"after {len(outcomes)} rows") from None
    finally:
        torch.set_num_threads(threads_before)
    return OK if all(outcome.ok for outcome in outcomes) else FAILED


def _run_rows(
    rows: Sequence[Row], options: argparse.Namespace, words: WordList, outcomes: list[Outcome]
) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    if len(words.words) != PUBLISHED_WORDS:
        console.print(
            f"{words.name}: {len(words.words):,} words, but what was published is about names.txt with"
            f" {PUBLISHED_WORDS:,}: expect other losses",
            highlight=False,
            markup=False,
        )
    for number, row in enumerate(rows, start=1):
        print(f"{number} of {len(rows)}: {row.recipe}", file=sys.stderr, flush=True)
        outcomes.append(run_row(row, words.words, fused=options.fused, seed=options.seed))
        if options.json is not None:  # after each row, so that a long run can be watched, or stopped
            write_json(options.json, _content(outcomes, options, words, finished=number == len(rows)))
    if options.markdown is not None:
        write_bytes(options.markdown, to_markdown(outcomes).encode())
    print_table(outcomes, console)
    console.print(summarise(outcomes), highlight=False, markup=False)


def _content(
    outcomes: Sequence[Outcome], options: argparse.Namespace, words: WordList, *, finished: bool
) -> dict[str, Any]:
    return {
        "namegen_ext": __version__,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "threads": options.threads,
        "fused": options.fused,
        "data": {"name": words.name, "sha256": words.sha256, "num_words": len(words.words)},
        "finished": finished,
        "ok": finished and all(outcome.ok for outcome in outcomes),
        "seconds": sum(outcome.seconds for outcome in outcomes),
        "rows": [to_json(outcome) for outcome in outcomes],
    }


def _chosen(options: argparse.Namespace) -> list[Row]:
    """Return the rows that were asked for, in the order of the table."""
    names = set(ROWS) if options.only is None else set(options.only)
    return [row for name, row in ROWS.items() if name in names and (row.quick or not options.quick)]
