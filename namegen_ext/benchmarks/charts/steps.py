"""Whole training steps as bars: the time of one step by peer, for each model, at a small and a large batch."""

from __future__ import annotations

from collections.abc import Sequence

from namegen_ext.benchmarks.charts.bars import BAR_HEIGHT, names_width, paint_bars
from namegen_ext.benchmarks.charts.chart import HEADING, MARGINS, Area, Chart, set_heading
from namegen_ext.benchmarks.charts.look import ENGINE, looks_of
from namegen_ext.benchmarks.charts.select import (
    best_of_threads,
    case_title,
    grouped,
    machine_line,
    peers_of,
    short_time,
)
from namegen_ext.benchmarks.comparison import STOCK
from namegen_ext.benchmarks.results import Result

NAME = "training-step"
_USUAL_BATCHES = (32, 1024)


def training_step(results: Sequence[Result]) -> Chart | None:
    """Draw the suite train; None where it was not measured."""
    measured = [one for one in results if (one.key.suite, one.key.mode) == ("train", "step")]
    steps = best_of_threads(measured)
    batches = _two_batches({one.key.batch for one in steps})
    steps = [one for one in steps if one.key.batch in batches]
    if not steps:
        return None
    looks = looks_of(peers_of(steps))
    models = grouped(steps, lambda one: (one.key.case, one.key.sizes))
    below = 0.1
    height = MARGINS + len(models) * (HEADING + below + BAR_HEIGHT * len(looks))

    def paint(area: Area) -> None:
        all_axes = area.axes(
            len(models), len(batches), left=names_width(looks), right=0.15, above=HEADING, below=below
        )
        for row, ((case, sizes), of_model) in enumerate(models.items()):
            for column, batch in enumerate(batches):
                axis = all_axes[row * len(batches) + column]
                found = {one.key.peer: one for one in of_model if one.key.batch == batch}
                paint_bars(axis, found, looks, area.theme, with_names=column == 0)
                model = f"{case_title(case)}, " if column == 0 else ""
                small_print = sizes if column == 0 else " "
                set_heading(axis, f"{model}batch {batch:,}", small_print, area.theme)

    return Chart(
        name=NAME,
        title="Time of one training step: minibatch, forward, loss, backward, update",
        reading="Shorter is better. N×: times as fast as torch.nn eager. Lines: quartiles.",
        alt=_alt(models, batches),
        foot=machine_line(measured),
        height=height,
        paint=paint,
    )


def _two_batches(measured: set[int]) -> list[int]:
    """Choose the usual batches where they were measured, else the smallest and the largest."""
    usual = [batch for batch in _USUAL_BATCHES if batch in measured]
    return usual or sorted({min(measured), max(measured)} if measured else set())


def _alt(models: dict[tuple[str, str], list[Result]], batches: Sequence[int]) -> str:
    """Tell the numbers of the fastest and of torch.nn for each model and batch."""
    sentences = []
    for (case, _), of_model in models.items():
        for batch in batches:
            found = {one.key.peer: one.seconds.median for one in of_model if one.key.batch == batch}
            numbers = [
                f"{looks_of([peer])[peer].label} {short_time(found[peer])}"
                for peer in (STOCK, *ENGINE)
                if peer in found
            ]
            if numbers:
                sentences.append(f"{case_title(case)}, batch {batch:,}: {', '.join(numbers)}")
    return "Bars of the time of one training step by peer. " + "; ".join(sentences) + "."
