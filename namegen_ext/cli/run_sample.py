"""Runs ``sample``: the run directory is read, and the names are written as they are drawn."""

from __future__ import annotations

import argparse
import codecs
import sys

from namegen_ext.cli.command import ArgumentError, CommandError, ended_by_interrupts
from namegen_ext.cli.exit_status import OK
from namegen_ext.generator import Generator
from namegen_ext.runs.errors import RunError
from namegen_ext.sampling import NameStream, SamplingError
from namegen_ext.sampling.arguments import check_prefix, check_top_k
from namegen_ext.steering import ConstraintError


def run(options: argparse.Namespace) -> int:
    """Draw the names and write them.

    Raises:
        ArgumentError: the run cannot be read, or an argument does not suit its model.
        CommandError: the model cannot give the names asked for, or they cannot be written.

    """
    try:
        stream, num_names = _open_stream(options)
    except RunError as error:
        raise ArgumentError(f"argument RUN_DIR: {error}") from None
    except ConstraintError as error:
        raise ArgumentError(f"--{error.name.replace('_', '-')} {error.problem}") from None
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    except SamplingError as error:
        raise CommandError(str(error)) from None
    _write(stream)
    print(_describe(stream, options, num_names), file=sys.stderr)
    return OK


def _open_stream(options: argparse.Namespace) -> tuple[NameStream, int]:
    """Load the run; return the names that are drawn, and the number of those in its list."""
    with ended_by_interrupts(options.prog):  # where the run is a gpt, torch is imported
        generator = Generator.from_run(options.run_dir)
    torch = sys.modules.get("torch")
    if torch is not None:
        # The tensors of a batch are small. A second thread gains nothing, and on a busy machine it costs much.
        torch.set_num_threads(1)
    check_prefix(
        generator.config.reading.as_learnt(options.prefix),
        generator.vocabulary,
        generator.max_length,
        name="--prefix",
    )
    if options.top_k is not None:
        check_top_k(options.top_k, len(generator.vocabulary), name="--top-k")
    stream = generator.stream(
        options.n,
        temperature=options.temperature,
        top_k=options.top_k,
        prefix=options.prefix,
        seed=options.seed,
        novel=options.novel,
        unique=options.unique,
        min_length=options.min_length,
        max_length=options.max_length,
        suffix=options.suffix,
        contains=options.contains,
        without=options.without,
        match=options.match,
        avoid=() if options.avoid is None else options.avoid,
    )
    return stream, generator.num_names


def _write(stream: NameStream) -> None:
    """Write the names as they come.

    Raises:
        CommandError: fewer names were found than asked for; those found were written before.

    """
    failure = None
    try:
        if codecs.lookup(sys.stdout.encoding).name == "utf-8":
            for text in stream.texts():
                sys.stdout.buffer.write(text)
        else:
            for name in stream:
                sys.stdout.write(name + "\n")
    except SamplingError as error:  # the names found before it are written
        failure = str(error)
    except UnicodeEncodeError as error:
        needed = f"cannot hold {error.object.strip()!r} in {error.encoding}; set PYTHONIOENCODING=utf-8"
        failure = f"standard output {needed}"
    sys.stdout.flush()
    if failure is not None:
        raise CommandError(failure)


def _describe(stream: NameStream, options: argparse.Namespace, num_names: int) -> str:
    counts = stream.counts
    noun = "name" if counts.names == 1 else "names"
    text = f"{counts.names:,} {noun}, {counts.new:,} new (not among the {num_names:,} names of its list)"
    if options.novel or options.unique:
        text += f"; drawn {counts.drawn:,}, of them {counts.drawn_new:,} new"
        if counts.drawn_distinct is not None:
            text += f" and {counts.drawn_distinct:,} distinct"
    if stream.accepted is not None:
        text += f"; {stream.accepted:.3g} of the model's names meet the constraints"
    if options.seed is None:
        text += f"; seed {stream.seed}"
    return text
