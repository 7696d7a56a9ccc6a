"""Runs ``plot``: examines the run, draws it, and writes the pictures and the page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from namegen_ext.cli.command import ArgumentError, CommandError
from namegen_ext.cli.exit_status import OK
from namegen_ext.diagnostics import diagnose
from namegen_ext.plotting.picture import PlotError, check_matplotlib
from namegen_ext.plotting.report_files import render_report
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import write_bytes
from namegen_ext.runs.run_errors import RunError
from namegen_ext.runs.saved_run import load_run
from namegen_ext.sampling.category_models import sample_of_all

_NUM_NAMES = 24  # that stand at the top of the page


def run(options: argparse.Namespace) -> int:
    """Draw what went on in a run.

    Raises:
        ArgumentError: the run cannot be read, or the directory for the pictures cannot be made.
        CommandError: matplotlib is missing, or a file cannot be written.

    """
    try:
        check_matplotlib()
        return _draw(options)
    except PlotError as error:
        raise CommandError(str(error)) from None


def _draw(options: argparse.Namespace) -> int:
    torch.set_num_threads(1)  # one batch of a small model does not gain from a second thread
    try:
        saved = load_run(options.run_dir)
        diagnosis = diagnose(saved, fused=options.fused, examples=options.examples, seed=options.seed)
    except RunError as error:
        raise ArgumentError(f"argument RUN_DIR: {error}") from None
    if options.fused and diagnosis.layers != "fused":
        print("no layer of the model can be fused; looking at the stock ones", file=sys.stderr)
    directory = _made_directory(options)
    names = sample_of_all(
        saved.model, saved.vocabulary, _NUM_NAMES, seed=options.seed, case=saved.config.reading.case
    )
    files, missing = render_report(diagnosis, names)
    try:
        written = _write(files, directory)
    except RunError as error:
        raise CommandError(str(error)) from None
    for sentence in missing:
        print(sentence)
    for file in written:
        print(file)
    return OK


def _made_directory(options: argparse.Namespace) -> Path:
    directory: Path = options.out or RunDirectory(options.run_dir).plots
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{directory}: cannot be made: {error.strerror or error}"
        if options.out is None:
            raise CommandError(problem) from None
        raise ArgumentError(f"argument --out: {problem}") from None
    return directory


def _write(files: Mapping[str, bytes], directory: Path) -> list[Path]:
    """Write files into a directory, in their order; those that are there are replaced.

    Raises:
        RunError: a file cannot be written.

    """
    written = []
    for name, content in files.items():
        written.append(directory / name)
        write_bytes(written[-1], content)
    return written
