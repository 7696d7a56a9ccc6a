"""Reproduce published results and compare: ``python -m namegen_ext.reproduce``.

Exit status: 0 when every row came out as published; 1 when one is out of tolerance or a file cannot be
written; 2 for a wrong argument; 130 after Ctrl-C, with the rows done until then in the JSON file.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console

from namegen_ext._version import __version__
from namegen_ext.cli.parser import Parser, one_of, path, problem_with_file, whole_number
from namegen_ext.data import DataError, WordList, load_words
from namegen_ext.options.choices import FUSED_CHOICES
from namegen_ext.options.ranges import SEEDS, THREADS
from namegen_ext.options.train_options import OptionError
from namegen_ext.reproduction import ROWS, Outcome, Row, run_row
from namegen_ext.reproduction.report import print_table, summarise, to_json, to_markdown
from namegen_ext.runs.errors import RunError
from namegen_ext.runs.files import write_bytes, write_json
from namegen_ext.training.errors import BackendError

INTERRUPTED = 130  # 128 + SIGINT, as shells count
DEFAULT_DATA = "makemore"
DEFAULT_THREADS = 1

# The names.txt that all the published figures are about.
PUBLISHED_WORDS = 32_033
_FILE_WIDTH = 160  # columns of the table where the output is not a terminal

_DESCRIPTION = """\
Train (or count) what was published, each row by the recipe of its name, and compare the losses: nats per
character, on the split into train, dev and test that the lectures use. Every row can be trained alone, and
sampled from, by `python -m namegen_ext.train --recipe NAME`."""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m namegen_ext.reproduce") -> int:
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
    _check_files(parser, options)
    _check_rows(parser, options)
    try:
        words = load_words(options.data)
    except DataError as error:
        parser.error(f"argument --data: {error}")
    threads_before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    outcomes: list[Outcome] = []
    try:
        _run(_chosen(options), options, words, outcomes)
    except BackendError as error:
        parser.error(f"argument --fused: {error}")
    except DataError as error:
        parser.error(f"argument --data: {error}")
    except OptionError as error:  # the rows' own options; of these words, one asks too much
        parser.error(f"argument --data: the words do not suit the rows: {error}")
    except RunError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted after {len(outcomes)} rows", file=sys.stderr)
        return INTERRUPTED
    finally:
        torch.set_num_threads(threads_before)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def _check_files(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Find out before the first row, which may be hours before the last, whether the files can be written."""
    for flag, file in (("--json", options.json), ("--markdown", options.markdown)):
        problem = None if file is None else problem_with_file(file)
        if problem is not None:
            parser.error(f"argument {flag}: {problem}")
    if options.json is not None and options.json == options.markdown:
        parser.error(f"argument --markdown: got {str(options.markdown)!r}, expected another file than --json")


def _check_rows(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    for name in options.only or ():
        if options.quick and not ROWS[name].quick:
            quick = ", ".join(name for name, row in ROWS.items() if row.quick)
            parser.error(f"argument --only: got {name!r}, expected some of {quick} with --quick")


def _run(rows: Sequence[Row], options: argparse.Namespace, words: WordList, outcomes: list[Outcome]) -> None:
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
        if options.json is not None:  # after each row, so that a long run can be looked at, or stopped
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
    """The rows asked for, in the order of the table."""
    names = set(ROWS) if options.only is None else set(options.only)
    return [row for name, row in ROWS.items() if name in names and (row.quick or not options.quick)]


def _build_parser(prog: str) -> argparse.ArgumentParser:
    quick = ", ".join(name for name, row in ROWS.items() if row.quick)
    parser = Parser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=f"rows: {', '.join(ROWS)}\n\nquick rows: {quick}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--data",
        metavar="PATH",
        default=DEFAULT_DATA,
        help="names.txt of the makemore project; its name, makemore, downloads it once (default: %(default)s)",
    )
    add(
        "--only",
        nargs="+",
        type=one_of(ROWS),
        metavar="NAME",
        help="these rows only (default: all of them, see below)",
    )
    add(
        "--quick",
        action="store_true",
        help="a subset that takes seconds: the counting models, which are exact, and one short training"
        " (default: off)",
    )
    add(
        "--fused",
        nargs="?",
        const="auto",
        type=one_of(FUSED_CHOICES),
        metavar="auto|layers|step",
        help="run on the fused kernels; --fused alone means auto (default: off, stock torch.nn layers)",
    )
    add("--json", type=path, metavar="FILE", help="write the results there (default: nowhere)")
    add("--markdown", type=path, metavar="FILE", help="write the table there (default: nowhere)")
    add(
        "--seed",
        type=whole_number(SEEDS),
        metavar="N",
        help="of weights and minibatches, in place of the recipes' 42 (default: that of each recipe)",
    )
    add(
        "--threads",
        type=whole_number(THREADS),
        metavar="N",
        default=DEFAULT_THREADS,
        help="CPU threads of torch (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
