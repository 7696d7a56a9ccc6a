"""Charts of whole training steps: the time of one step of each peer, as bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from namegen_bench.names import STOCK, TRAIN
from namegen_bench.reporting.charts.bars import BAR_HEIGHT, names_width, paint_bars
from namegen_bench.reporting.charts.chart import HEADING, MARGINS, Area, Chart, set_heading
from namegen_bench.reporting.charts.look import ENGINE, looks_of
from namegen_bench.reporting.charts.select import (
    case_title,
    grouped,
    machine_line,
    of_fewest_threads,
    peers_of,
    short_time,
)
from namegen_bench.reporting.results import Result

_BATCHES = (32, 1024)  # a small and a large batch, which stand side by side where both were measured
_TITLE = "One training step, one thread: minibatch, forward, loss, backward, update"
_READING = "Shorter is better. N×: times as fast as torch.nn eager. Lines: quartiles."
_BELOW = 0.1  # inches below a panel

# The results of each peer on one thread, by case, sizes and batch.
Panels = Mapping[tuple[str, str, int], list[Result]]


def training_step(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the models that were measured at both batches, a row for each; None where there are none."""
    panels = {
        (case, sizes, batch): of_panel
        for (case, sizes, batch), of_panel in _panels(results).items()
        if batch in _BATCHES and all((case, sizes, other) in _panels(results) for other in _BATCHES)
    }
    if not panels:
        return None
    looks = looks_of(peers_of(one for of_panel in panels.values() for one in of_panel))
    models = list(dict.fromkeys((case, sizes) for case, sizes, _ in panels))

    def paint(area: Area) -> None:
        all_axes = iter(
            area.axes(len(models), len(_BATCHES), left=names_width(looks), above=HEADING, below=_BELOW)
        )
        for case, sizes in models:
            for batch in _BATCHES:
                axis = next(all_axes)
                is_first = batch == _BATCHES[0]
                found = {one.key.peer: one for one in panels[case, sizes, batch]}
                paint_bars(axis, found, looks, area.theme, with_names=is_first)
                model = f"{case_title(case)}, " if is_first else ""
                set_heading(axis, f"{model}batch {batch:,}", sizes if is_first else " ", area.theme)

    height = len(models) * (HEADING + _BELOW + BAR_HEIGHT * len(looks))
    return _chart("training-step", _TITLE, panels, height, paint)


def other_steps(results: Sequence[Result]) -> Chart | None:
    """Make the chart of all other models and batches, two side by side; None where there are none."""
    all_panels = _panels(results)
    panels = {
        (case, sizes, batch): of_panel
        for (case, sizes, batch), of_panel in all_panels.items()
        if batch not in _BATCHES or any((case, sizes, other) not in all_panels for other in _BATCHES)
    }
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    places = max(len(peers_of(of_panel)) for of_panel in panels.values())
    left = names_width(looks_of(peers_of(one for of_panel in panels.values() for one in of_panel)))

    def paint(area: Area) -> None:
        all_axes = area.axes(
            rows,
            columns,
            left=left,
            right=0.2 if columns == 2 else 2.5,
            above=HEADING,
            below=_BELOW,
            between=left,
        )
        for axis, ((case, sizes, batch), of_panel) in zip(all_axes, panels.items(), strict=False):
            found = {one.key.peer: one for one in of_panel}
            paint_bars(axis, found, looks_of(list(found)), area.theme, places=places)
            set_heading(axis, f"{case_title(case)}, batch {batch:,}", sizes, area.theme)
        for unused in all_axes[len(panels) :]:
            unused.set_axis_off()

    height = rows * (HEADING + _BELOW + BAR_HEIGHT * places)
    title = _TITLE if len(panels) == len(all_panels) else f"{_TITLE} (other models)"
    return _chart("training-step-other", title, panels, height, paint)


def _measured(results: Sequence[Result]) -> list[Result]:
    return [one for one in results if (one.key.suite, one.key.mode) == (TRAIN, "step")]


def _panels(results: Sequence[Result]) -> Panels:
    return grouped(
        of_fewest_threads(_measured(results)), lambda one: (one.key.case, one.key.sizes, one.key.batch)
    )


def _chart(
    name: str,
    title: str,
    panels: Panels,
    height: float,
    paint: Callable[[Area], None],
) -> Chart:
    shown = [one for of_panel in panels.values() for one in of_panel]
    return Chart(
        name=name,
        title=title,
        reading=_READING,
        alt=_alt(panels),
        foot=machine_line(shown),
        height=MARGINS + height,
        paint=paint,
    )


def _alt(panels: Panels) -> str:
    """Describe the chart by the times of torch.nn and of the step engine."""
    sentences = []
    for (case, _, batch), of_panel in panels.items():
        found = {one.key.peer: one.seconds.median for one in of_panel}
        numbers = [
            f"{looks_of([peer])[peer].label} {short_time(found[peer])}"
            for peer in (STOCK, *ENGINE)
            if peer in found
        ]
        sentences.append(f"{case_title(case)}, batch {batch:,}: {', '.join(numbers)}")
    return "Bars of the time of one training step by peer. " + "; ".join(sentences) + "."
