"""Panels of lines on logarithmic axes. They show how time or memory grows with the batch, the width or the threads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from namegen_bench.reporting.charts.chart import HEADING, MARGINS, Area, Chart, set_heading
from namegen_bench.reporting.charts.look import Look, Theme, colour_of, looks_of

_COLUMNS = 2
_PANEL_HEIGHT, _BELOW, _LEGEND_ROW = 1.9, 0.5, 0.2  # inches
_LEGEND_COLUMNS = 5
_WIDE = (
    60  # where the highest value is more than this many times the lowest, ticks stand only at powers of 10
)


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: the title, in bold.
        subtitle: small print below the title.
        lines: the points (x, y) of each peer's line, with rising x.

    """

    title: str
    subtitle: str
    lines: Mapping[str, Sequence[tuple[int, float]]]


def lines_chart(
    panels: Sequence[Panel],
    *,
    name: str,
    title: str,
    reading: str,
    x_label: str,
    write_y: Callable[[float], str],
    y_base: int,
    foot: str,
) -> Chart | None:
    """Make a chart of panels side by side; None where there are no panels.

    Args:
        panels: the panels. Each has at least one line of at least two points.
        name: the chart's name.
        title: the chart's title.
        reading: says how to read the chart.
        x_label: the label below each panel.
        write_y: writes a value of y, for the ticks and for the text that describes the chart.
        y_base: ticks stand at powers of this number: 10, or 2 for bytes.
        foot: the small print.

    """
    if not panels:
        return None
    looks = looks_of([peer for panel in panels for peer in panel.lines])
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    legend_columns = min(len(looks), _LEGEND_COLUMNS)
    legend = 0.1 + _LEGEND_ROW * -(-len(looks) // legend_columns)

    def paint(area: Area) -> None:
        all_axes = area.axes(
            rows, columns, left=0.75, above=HEADING, below=_BELOW, between=0.85, legend=legend
        )
        for axis, panel in zip(all_axes, panels, strict=False):
            _paint_panel(axis, panel, looks, area.theme, write_y, y_base)
            axis.set_xlabel(x_label)
        for unused in all_axes[len(panels) :]:
            unused.set_axis_off()
        area.legend([_handle(look, area.theme) for look in looks.values()], left=0.15, columns=legend_columns)

    return Chart(
        name=name,
        title=title,
        reading=reading,
        alt=_alt(panels, looks, x_label, write_y),
        foot=foot,
        height=MARGINS + legend + rows * (_PANEL_HEIGHT + HEADING + _BELOW),
        paint=paint,
    )


def _paint_panel(
    axis: Any,
    panel: Panel,
    looks: dict[str, Look],
    theme: Theme,
    write_y: Callable[[float], str],
    y_base: int,
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for peer, look in looks.items():
        if peer in panel.lines:
            places, values = zip(*panel.lines[peer], strict=True)
            axis.plot(places, values, **_line(look, theme))
    axis.set_xscale("log")
    axis.set_yscale("log")
    ticks = _apart(sorted({x for points in panel.lines.values() for x, _ in points}))
    axis.set_xticks(ticks, [f"{x:,}" for x in ticks])
    axis.xaxis.set_minor_locator(NullLocator())
    lowest, highest = axis.get_ylim()
    if y_base == 2:
        base = 2 if highest / lowest < 16 else 4 if highest / lowest < 1024 else 8
        axis.yaxis.set_major_locator(LogLocator(base=base, numticks=12))
    else:
        subs = (1.0,) if highest / lowest > _WIDE else (1.0, 2.0, 5.0)
        axis.yaxis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: re.sub(r"\.0+(?= )", "", write_y(value))))
    set_heading(axis, panel.title, panel.subtitle, theme)


def _apart(values: Sequence[int]) -> list[int]:
    """Leave out ticks that would stand too close to the next one on a logarithmic axis. Keep the last tick."""
    least = (values[-1] / values[0]) ** (1 / 7)
    kept = [values[-1]]
    for value in reversed(values[:-1]):
        if kept[-1] / value > least:
            kept.append(value)
    return kept[::-1]


def _line(look: Look, theme: Theme) -> dict[str, Any]:
    return {
        "color": colour_of(look, theme),
        "linestyle": look.dash,
        "linewidth": 1.6,
        "marker": look.mark,
        "markersize": 9 if look.mark == "*" else 5.5,
        "markeredgecolor": theme.ground,
        "markeredgewidth": 0.5,
    }


def _handle(look: Look, theme: Theme) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=look.label, **_line(look, theme))


def _alt(
    panels: Sequence[Panel], looks: dict[str, Look], x_label: str, write_y: Callable[[float], str]
) -> str:
    """Describe the lines by their first and last points."""
    sentences = []
    for panel in panels:
        ends = [
            f"{looks[peer].label} {write_y(points[0][1])} at {points[0][0]:,} to {write_y(points[-1][1])} at "
            f"{points[-1][0]:,}"
            for peer, points in panel.lines.items()
        ]
        sentences.append(f"{panel.title}: {', '.join(ends)}")
    return f"Lines over the {x_label}. " + "; ".join(sentences) + "."
