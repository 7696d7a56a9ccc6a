"""Charts of how time and memory grow with the batch, the hidden size and the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from namegen_bench.names import OPS, SCALING
from namegen_bench.reporting.charts.chart import Chart
from namegen_bench.reporting.charts.lines import Panel, lines_chart
from namegen_bench.reporting.charts.select import (
    best_of_threads,
    case_title,
    grouped,
    machine_line,
    short_time,
    size_of,
    sizes_without,
)
from namegen_bench.reporting.results import Result

_BOTH_WAYS = "forward+backward"
_READING = "Lower is better; both axes are logarithmic."


def operators_time(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the time of each operator against the batch."""
    measured = _of(results, OPS, _BOTH_WAYS)
    title = "One operator, forward and backward: time against batch"
    return _chart(_over_batches(measured, _seconds), measured, "operators-time", title, "batch")


def operators_memory(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the peak memory of each operator against the batch."""
    measured = _of(results, OPS, _BOTH_WAYS)
    panels = _over_batches(measured, lambda one: one.peak_allocated)
    title = "One operator, forward and backward: peak of torch's allocator against batch"
    return _chart(panels, measured, "operators-memory", title, "batch", short_bytes)


def steps_by_batch(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the time of a training step against the batch."""
    measured = _of(results, SCALING)
    panels = _over_batches(measured, _seconds)
    return _chart(panels, measured, "scaling-batch", "One training step: time against batch", "batch")


def memory_by_batch(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the peak memory of training against the batch."""
    measured = _of(results, SCALING)
    panels = _over_batches(measured, lambda one: one.peak_resident)
    title = "Training: growth of the process at the peak, against batch"
    return _chart(panels, measured, "scaling-memory", title, "batch", short_bytes)


def steps_by_hidden_size(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the time of a training step against the hidden size."""
    measured = _of(results, SCALING)
    panels = _panels(
        best_of_threads(measured),
        lambda one: (one.key.case, sizes_without(one.key.sizes, "H"), one.key.batch),
        lambda one: size_of(one.key.sizes, "H"),
        _seconds,
        lambda one: f"batch {one.key.batch:,}, {sizes_without(one.key.sizes, 'H')}",
    )
    title = "One training step: time against hidden size"
    return _chart(_longest_of_each(panels), measured, "scaling-hidden", title, "hidden size")


def steps_by_threads(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the time of a training step against the number of threads."""
    measured = _of(results, SCALING)
    panels = _panels(
        measured,
        lambda one: (one.key.case, one.key.sizes, one.key.batch),
        lambda one: one.key.threads,
        _seconds,
        lambda one: f"batch {one.key.batch:,}, {one.key.sizes}",
    )
    title = "One training step: time against threads"
    return _chart(_longest_of_each(panels), measured, "scaling-threads", title, "threads", best=False)


def short_bytes(value: float) -> str:
    """Write a number of bytes, such as "512 B" or "1.5 MiB"."""
    for unit in ("B", "KiB", "MiB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} GiB"


def _of(results: Iterable[Result], suite: str, mode: str | None = None) -> list[Result]:
    return [one for one in results if one.key.suite == suite and mode in (None, one.key.mode)]


def _seconds(result: Result) -> float | None:
    return result.seconds.median


def _over_batches(measured: Iterable[Result], y: Callable[[Result], float | None]) -> list[Panel]:
    return _panels(
        best_of_threads(measured),
        lambda one: (one.key.case, one.key.sizes),
        lambda one: one.key.batch,
        y,
        lambda one: one.key.sizes,
    )


def _longest_of_each(panels: Sequence[Panel]) -> list[Panel]:
    """Keep the panel with the most points for each case; of several, the last one, which has the largest batch."""
    kept: dict[str, Panel] = {}
    for panel in panels:
        if panel.title not in kept or _points(panel) >= _points(kept[panel.title]):
            kept[panel.title] = panel
    return list(kept.values())


def _points(panel: Panel) -> int:
    return sum(map(len, panel.lines.values()))


def _panels(
    shown: Iterable[Result],
    same: Callable[[Result], Hashable],
    x: Callable[[Result], int | None],
    y: Callable[[Result], float | None],
    subtitle: Callable[[Result], str],
) -> list[Panel]:
    """Make a panel of the results that share something. A line needs two points, and a panel needs one line.

    Args:
        shown: the results.
        same: returns what the results of one panel share.
        x: returns the x of a result's point; None where it has none.
        y: returns the y of a result's point; None where it has none.
        subtitle: writes the subtitle of a panel from one of its results.

    """
    panels = []
    for of_panel in grouped(sorted(shown, key=lambda one: one.key.batch), same).values():
        lines = {}
        for peer, of_peer in grouped(of_panel, lambda one: one.key.peer).items():
            points = [(x(one), y(one)) for one in of_peer]
            known = dict(sorted((a, b) for a, b in points if a is not None and b))
            if len(known) > 1:
                lines[peer] = list(known.items())
        if lines:
            first = of_panel[0]
            panels.append(Panel(case_title(first.key.case), subtitle(first), lines))
    return panels


def _chart(
    panels: Sequence[Panel],
    measured: Sequence[Result],
    name: str,
    title: str,
    x_label: str,
    write_y: Callable[[float], str] = short_time,
    *,
    best: bool = True,
) -> Chart | None:
    return lines_chart(
        panels,
        name=name,
        title=title,
        reading=_READING,
        x_label=x_label,
        write_y=write_y,
        y_base=2 if write_y is short_bytes else 10,
        foot=machine_line(measured, best=best) if measured else "",
    )
