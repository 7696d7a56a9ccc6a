"""Charts of single operators, forward and backward: how many times as fast as the stock layers, by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from namegen_bench.names import GPU, OPS, STOCK
from namegen_bench.reporting.charts.chart import HEADING, MARGINS, Area, Chart, set_heading
from namegen_bench.reporting.charts.look import Look, Theme, colour_of, looks_of
from namegen_bench.reporting.charts.select import (
    best_of_threads,
    grouped,
    machine_line,
    peers_of,
    times_as_fast,
)
from namegen_bench.reporting.results import Result

_MODE = "forward+backward"
_WHERE = {OPS: "", GPU: " on the GPU"}
_PANEL_HEIGHT, _BELOW, _LEGEND_ROW = 1.35, 0.42, 0.2  # inches
_LEGEND_COLUMNS = 4


def operators(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the suite ops; None where it was not measured."""
    return _operators(results, OPS)


def gpu_operators(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the suite gpu; None where it was not measured."""
    return _operators(results, GPU)


def _operators(results: Sequence[Result], suite: str) -> Chart | None:
    measured = [one for one in results if (one.key.suite, one.key.mode) == (suite, _MODE)]
    shown = best_of_threads(measured)
    looks = looks_of([peer for peer in peers_of(shown) if peer != STOCK])
    if not looks:
        return None
    cases = list(dict.fromkeys(one.key.case for one in shown))
    shown.sort(key=lambda one: cases.index(one.key.case))
    panels = grouped(shown, lambda one: (one.key.case, one.key.sizes))

    columns = min(len(looks), _LEGEND_COLUMNS)
    legend = 0.05 + _LEGEND_ROW * -(-len(looks) // columns)

    def paint(area: Area) -> None:
        all_axes = area.axes(
            len(panels), 1, left=0.75, above=HEADING, below=_BELOW, legend=legend, right=0.15
        )
        for axis, ((case, sizes), of_panel) in zip(all_axes, panels.items(), strict=True):
            _paint_panel(axis, of_panel, looks, area.theme)
            set_heading(axis, case, sizes, area.theme)
        all_axes[-1].set_xlabel("batch")
        area.legend([_swatch(look, area.theme) for look in looks.values()], left=0.15, columns=columns)

    return Chart(
        name="operators" if suite == OPS else f"{suite}-operators",
        title=f"One operator{_WHERE[suite]}, forward and backward: times as fast as stock layers",
        reading="Longer is better; the line is the stock layers.",
        alt=_alt(panels, looks),
        foot=machine_line(measured),
        height=MARGINS + legend + len(panels) * (_PANEL_HEIGHT + HEADING + _BELOW),
        paint=paint,
    )


def _paint_panel(axis: Any, of_panel: list[Result], looks: dict[str, Look], theme: Theme) -> None:
    """Draw a group of bars for each batch, with one bar for each peer."""
    batches = sorted({one.key.batch for one in of_panel})
    seconds = {(one.key.batch, one.key.peer): one.seconds.median for one in of_panel}
    width = 0.84 / len(looks)
    highest = 1.0
    for number, (peer, look) in enumerate(looks.items()):
        for place, batch in enumerate(batches):
            if (batch, peer) not in seconds or (batch, STOCK) not in seconds:
                continue
            speedup = seconds[batch, STOCK] / seconds[batch, peer]
            highest = max(highest, speedup)
            middle = place + (number - (len(looks) - 1) / 2) * width
            axis.bar(middle, speedup, 0.92 * width, **_fill(look, theme))
            axis.text(
                middle,
                max(
                    speedup, 1.0
                ),  # above the line of the stock layers, so that the line does not cross the number
                times_as_fast(speedup),
                ha="center",
                va="bottom",
                fontsize=7.5,
                color=theme.text,
            )
    axis.axhline(1, color=theme.text, linewidth=1)
    axis.set_ylim(0, highest * 1.16)  # room for the number of the highest bar
    axis.set_xlim(-0.6, len(batches) - 0.4)
    axis.set_xticks(range(len(batches)), [f"{batch:,}" for batch in batches])
    axis.tick_params(axis="x", length=0)
    axis.grid(visible=False, axis="x")


def _fill(look: Look, theme: Theme) -> dict[str, Any]:
    return {
        "facecolor": colour_of(look, theme),
        "hatch": look.hatch,
        "edgecolor": theme.ground,
        "linewidth": 0,
    }


def _swatch(look: Look, theme: Theme) -> Any:
    from matplotlib.patches import Patch

    return Patch(label=look.label, **_fill(look, theme))


def _alt(panels: dict[tuple[str, str], list[Result]], looks: dict[str, Look]) -> str:
    """Describe the chart by the smallest and the largest speedup of each peer."""
    sentences = []
    for (case, sizes), of_panel in panels.items():
        seconds = {(one.key.batch, one.key.peer): one.seconds.median for one in of_panel}
        for peer, look in looks.items():
            speedups = [
                stock / seconds[batch, peer]
                for (batch, name), stock in seconds.items()
                if name == STOCK and (batch, peer) in seconds
            ]
            if speedups:
                low, high = times_as_fast(min(speedups)), times_as_fast(max(speedups))
                sentences.append(f"{case} ({sizes}), {look.label}: {low} to {high}")
    return "Bars of how many times as fast as stock layers, over batches. " + "; ".join(sentences) + "."
