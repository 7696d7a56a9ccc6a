"""Runs ``sample``: the run directory is read, and the names are written as they are drawn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from namegen_ext.cli.command import ArgumentError, CommandError, ended_by_interrupts
from namegen_ext.cli.exit_status import OK
from namegen_ext.cli.output_file import write_texts
from namegen_ext.cli.row_formats import written_rows
from namegen_ext.data.categories import ALL, parse_categories
from namegen_ext.generator import Generator
from namegen_ext.runs.run_errors import RunError
from namegen_ext.sampling import NameStream, SampleCounts, SamplingError
from namegen_ext.sampling.sampling_arguments import check_prefix, check_top_k, fresh_seed
from namegen_ext.scoring.near import DEFAULT_WITHIN, check_number
from namegen_ext.scoring.similar import UnlikeStream
from namegen_ext.steering import ConstraintError

Stream: TypeAlias = NameStream | UnlikeStream

COLUMNS = ("name", "nll", "novel", "nearest")


def run(options: argparse.Namespace) -> int:
    """Draw the names and write them.

    Raises:
        ArgumentError: the run cannot be read, or an argument does not suit its model.
        CommandError: the model cannot give the names asked for, or they cannot be written.

    """
    try:
        generator, streams = _open_streams(options)
    except RunError as error:
        raise ArgumentError(f"argument RUN_DIR: {error}") from None
    except ConstraintError as error:
        raise ArgumentError(f"--{error.name.replace('_', '-')} {error.problem}") from None
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    except SamplingError as error:
        raise CommandError(str(error)) from None
    try:
        write_texts(_texts(streams, generator, options.format), options.o)
    except SamplingError as error:  # of standard output, the names found before it are written
        told = "" if options.o is None else f"; {options.o} was not written"
        raise CommandError(f"{error}{told}") from None
    print(_describe(list(streams.values()), options, generator), file=sys.stderr)
    return OK


def _open_streams(options: argparse.Namespace) -> tuple[Generator, dict[str, Stream]]:
    """Load the run; return it with the streams of names, by the category of each, "" for a mixture or none."""
    with ended_by_interrupts(options.prog):  # what reads the arrays may be imported
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
    if options.within is not None and options.like is None:
        raise ValueError("argument --within: expected --like NAME with it")
    if options.like is not None:
        like = generator.config.reading.as_learnt(options.like)
        check_number(like, len(generator.vocabulary.symbols), options.within or DEFAULT_WITHIN, "--within")
    wanted: dict[str, str | Mapping[str, float] | None] = {"": None}
    if options.category == ALL and generator.categories:
        wanted = {category: category for category in generator.categories}
    elif options.category is not None:
        weights = parse_categories(options.category, generator.categories, "--category")
        wanted = {next(iter(weights)) if len(weights) == 1 else "": weights}
    seed = fresh_seed() if options.seed is None else options.seed
    streams: dict[str, Stream] = {}
    for category, asked in wanted.items():
        streams[category] = generator.stream(
            options.n,
            temperature=options.temperature,
            top_k=options.top_k,
            prefix=options.prefix,
            seed=seed,
            novel=options.novel,
            unique=options.unique,
            min_length=options.min_length,
            max_length=options.max_length,
            suffix=options.suffix,
            contains=options.contains,
            without=options.without,
            match=options.match,
            avoid=() if options.avoid is None else options.avoid,
            max_similarity=options.max_similarity,
            like=options.like,
            within=options.within or DEFAULT_WITHIN,
            category=asked,
        )
    return generator, streams


def _texts(streams: Mapping[str, Stream], generator: Generator, form: str) -> Iterator[str | bytes]:
    """Give the names as they are written: alone, or in rows with what is known of them."""
    if form == "lines" and len(streams) == 1:
        (stream,) = streams.values()
        yield from stream.texts()
    elif form == "lines":
        yield from (f"{category}\t{name}\n" for category, stream in streams.items() for name in stream)
    else:
        columns = ("category", *COLUMNS) if any(streams) else COLUMNS
        yield from written_rows(_rows(streams, generator), columns, form)


def _rows(streams: Mapping[str, Stream], generator: Generator) -> Iterator[list[dict[str, Any]]]:
    for category, stream in streams.items():
        for text in stream.texts():
            rows = generator.score(text.decode().split("\n")[:-1], category=category or None)
            yield [{"category": category, **row} for row in rows]


def _describe(streams: Sequence[Stream], options: argparse.Namespace, generator: Generator) -> str:
    counts = _sum([stream.counts for stream in streams])
    noun = "name" if counts.names == 1 else "names"
    text = f"{counts.names:,} {noun}, {counts.new:,} new (not among the {generator.num_names:,} names of its list)"
    if options.novel or options.unique or options.max_similarity is not None:
        text += f"; drawn {counts.drawn:,}, of them {counts.drawn_new:,} new"
        if counts.drawn_distinct is not None:
            text += f" and {counts.drawn_distinct:,} distinct"
    if options.max_similarity is not None:
        text += f", {counts.similar:,} left out as more than {options.max_similarity:g} similar to a name of its list"
    if counts.cut:
        text += (
            f"; {counts.cut:,} of {counts.drawn:,} drawn left out, as they did not end within"
            f" {generator.max_length:,} letters (--max-length sets another limit)"
        )
    if counts.accepted is not None:
        which = "names with the prefix" if options.prefix else "names"
        text += f"; {counts.accepted:.3g} of the model's {which} meet the constraints"
    if options.seed is None:
        text += f"; seed {streams[0].seed}"
    return text


def _sum(parts: Sequence[SampleCounts]) -> SampleCounts:
    if len(parts) == 1:
        return parts[0]
    total = SampleCounts(drawn_distinct=None if parts[0].drawn_distinct is None else 0)
    for part in parts:
        total.names += part.names
        total.new += part.new
        total.drawn += part.drawn
        total.drawn_new += part.drawn_new
        total.similar += part.similar
        total.cut += part.cut
        if len(parts) == 1:  # of several streams, there is no one share
            total.accepted = part.accepted
        if total.drawn_distinct is not None:
            total.drawn_distinct += part.drawn_distinct or 0
    return total
