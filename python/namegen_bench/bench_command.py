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

from namegen_bench.bench_arguments import build_parser, check_together
from namegen_bench.quality.quality_command import QUALITY
from namegen_bench.quality.quality_command import main as quality
from namegen_bench.reporting.requested_report import Report, ReportError, check_report
from namegen_ext.cli.command import ArgumentError, run_command
from namegen_ext.data import DataError, load_words


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
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == [QUALITY]:
        return quality(arguments[1:], f"{prog} {QUALITY}")
    parser = build_parser(prog)

    def check(options: argparse.Namespace) -> tuple[argparse.Namespace, Report]:
        check_together(parser, options)
        return options, _checked_report(options)

    return run_command(parser, arguments, "namegen_bench.run_bench", check=check)


def _checked_report(options: argparse.Namespace) -> Report:
    try:
        report = check_report(options)
        if options.data is not None:
            load_words(options.data)
    except ReportError as error:
        raise ArgumentError(str(error)) from None
    except DataError as error:
        raise ArgumentError(f"argument --data: {error}") from None
    return report
