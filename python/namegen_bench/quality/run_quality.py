"""Runs ``bench quality``: it measures, or reads what was measured, and shows it."""

from __future__ import annotations

import argparse
import platform

from namegen_bench.bench_errors import BenchError
from namegen_bench.quality.quality_models import MODELS_BY_NAME
from namegen_bench.quality.quality_runs import (
    QualityRow,
    append_row,
    list_files,
    measure,
    read_list,
    read_rows,
)
from namegen_bench.quality.quality_table import list_results, markdown_table
from namegen_bench.reporting.chart_files import check_matplotlib, draw_into
from namegen_ext.cli.command import OK, CommandError


def run(options: argparse.Namespace) -> int:
    """Measure or read, print the table, and draw the chart where it was asked for.

    Raises:
        CommandError: a list or a file cannot be read or written.

    """
    try:
        if options.plot is not None:
            check_matplotlib()
        rows = read_rows(options.source) if options.source is not None else _measured(options)
        results = list_results(rows)
        print(markdown_table(results))
        if options.plot is not None:
            from namegen_bench.quality.quality_chart import quality_chart

            foot = f"means over {len({row.seed for row in rows})} splits of 80/10/10; lower-cased, distinct names"
            for file in draw_into([quality_chart(results, foot)], options.plot, ("svg",)):
                print(file)
    except BenchError as error:
        raise CommandError(str(error)) from None
    return OK


def _measured(options: argparse.Namespace) -> list[QualityRow]:
    import torch

    torch.set_num_threads(1)
    print(f"one thread of {platform.machine()}; losses in nats a character", flush=True)
    rows = read_rows(options.csv) if options.csv is not None and options.csv.exists() else []
    measured = {(row.list_name, row.seed, row.model) for row in rows}
    for file in list_files(options.lists):
        names = read_list(file)
        for seed in range(1, options.seeds + 1):
            for model in options.models:
                if (file.stem, seed, model) in measured:
                    continue
                row = measure(file.stem, names, seed, MODELS_BY_NAME[model])
                rows.append(row)
                if options.csv is not None:
                    append_row(options.csv, row)
                print(
                    f"{row.list_name}, seed {seed}, {model}: test loss {row.test_loss:.4f}, copies {row.copies:.1%}, "
                    f"{row.seconds:.1f} s",
                    flush=True,
                )
    return rows
