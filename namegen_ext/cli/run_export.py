"""Runs ``export``: reads the run, and writes the file."""

from __future__ import annotations

import argparse

from namegen_ext.cli.command import ArgumentError, CommandError, ended_by_interrupts
from namegen_ext.cli.exit_status import OK
from namegen_ext.cli.parser import problem_with_file
from namegen_ext.exporting.export_errors import ExportError
from namegen_ext.exporting.export_model import FILE_NAMES
from namegen_ext.generator import Generator
from namegen_ext.runs.run_errors import RunError


def run(options: argparse.Namespace) -> int:
    """Write the file, and print its path.

    Raises:
        ArgumentError: the run cannot be read, or the file cannot stand there.
        CommandError: the model cannot be exported so, or the file cannot be written.

    """
    try:
        with ended_by_interrupts(options.prog):
            generator = Generator.from_run(options.run_dir)
    except RunError as error:
        raise ArgumentError(f"argument RUN_DIR: {error}") from None
    file = options.out or options.run_dir / FILE_NAMES[options.to]
    problem = problem_with_file(file)
    if problem is not None:
        raise ArgumentError(f"argument --out: {problem}")
    try:
        written = generator.export(file, options.to, with_names=not options.without_names)
    except (ExportError, RunError) as error:
        raise CommandError(str(error)) from None
    for path in written:
        print(f"{path}  {path.stat().st_size:,} bytes")
    return OK
