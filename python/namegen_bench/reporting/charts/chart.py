"""A chart: its frame of titles and small print around panels, and how it becomes a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from namegen_bench.reporting.charts.compact_svg import compact_svg
from namegen_bench.reporting.charts.look import Theme, chart_style

# All lengths are in inches.
WIDTH = 9.0  # the width of every chart, 864 pixels of a page
_TITLE_HEIGHT = 0.62  # the title and a line below it
_FOOT_HEIGHT = 0.3  # one line of small print
MARGINS = _TITLE_HEIGHT + _FOOT_HEIGHT
HEADING = 0.46  # the space above a panel for its title and small print
_GAP = 0.25  # the space between two charts of one file
_DPI = 150


class Area:
    """A horizontal strip of a figure. Its methods measure in inches from the upper edge of the strip.

    Args:
        figure: a matplotlib figure.
        top: the distance of the strip from the figure's upper edge, in inches.
        height: the height of the strip, in inches.
        theme: the colours.

    """

    def __init__(self, figure: Any, top: float, height: float, theme: Theme) -> None:
        self.figure = figure
        self.height = height
        self.theme = theme
        self._top = top

    def text(self, left: float, top: float, text: str, **how: Any) -> None:
        """Write a line of text that begins at a place, in inches from the left and from the top."""
        self.figure.text(left / WIDTH, self._y(top), text, va="top", **how)

    def axes(
        self,
        rows: int,
        columns: int,
        *,
        left: float,
        right: float = 0.2,
        above: float = 0.3,
        below: float = 0.45,
        between: float = 0.3,
        legend: float = 0.0,
    ) -> list[Any]:
        """Lay out panels in rows between the title and the small print. All lengths are in inches.

        Args:
            rows: number of rows of panels.
            columns: number of columns of panels.
            left: the space to the left of the panels, for labels.
            right: the space to the right of the panels.
            above: the space above each panel, for its title.
            below: the space below each panel, for its labels.
            between: the space between two columns.
            legend: the space above all panels, for the legend.

        Returns:
            The matplotlib axes of the panels, row by row.

        """
        top = _TITLE_HEIGHT + legend
        row_height = (self.height - top - _FOOT_HEIGHT) / rows
        panel_height = row_height - above - below
        panel_width = (WIDTH - left - right - between * (columns - 1)) / columns
        all_axes = []
        for row in range(rows):
            for column in range(columns):
                lower = top + row * row_height + above + panel_height
                place = (
                    (left + column * (panel_width + between)) / WIDTH,
                    self._y(lower),
                    panel_width / WIDTH,
                    panel_height / self.figure.get_figheight(),
                )
                all_axes.append(self.figure.add_axes(place))
        return all_axes

    def legend(self, handles: Sequence[Any], left: float, columns: int) -> None:
        """Put a legend under the title."""
        self.figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(left / WIDTH, self._y(_TITLE_HEIGHT - 0.04)),
            ncols=columns,
            borderpad=0,
            borderaxespad=0,
            columnspacing=1.6,
        )

    def _y(self, top: float) -> float:
        return 1 - (self._top + top) / self.figure.get_figheight()


def set_heading(axis: Any, title: str, subtitle: str, theme: Theme) -> None:
    """Write a panel's title, and small print in a line below it. Together they take HEADING inches."""
    axis.set_title(title, fontweight="bold", pad=17 if subtitle else 6)
    axis.annotate(
        subtitle,
        (0, 1),
        (0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=7.5,
        color=theme.muted,
    )


@dataclass(frozen=True)
class Chart:
    """A picture that can be drawn in any theme.

    Attributes:
        name: the name of its files, such as "training-step".
        title: says what is measured.
        reading: says how to read the chart, in one short line.
        alt: says what the chart shows, for those who cannot see it.
        foot: names the machine, in small print.
        height: the whole height, in inches.
        paint: a function that draws the panels.

    """

    name: str
    title: str
    reading: str
    alt: str
    foot: str
    height: float
    paint: Callable[[Area], None]


def render(charts: Sequence[Chart], theme: Theme, file_format: str) -> bytes:
    """Draw charts, one below the other, into the bytes of a file. The same charts give the same bytes.

    Args:
        charts: at least one.
        theme: the colours.
        file_format: "pdf", "png" or "svg".

    """
    with chart_style(theme):
        buffer = io.BytesIO()
        compose(charts, theme).savefig(buffer, format=file_format, dpi=_DPI, metadata=_NO_DATE[file_format])
    if file_format == "svg":
        title = "; ".join(chart.title for chart in charts)
        return compact_svg(buffer.getvalue(), title, " ".join(chart.alt for chart in charts))
    return buffer.getvalue()


def compose(charts: Sequence[Chart], theme: Theme) -> Any:
    """Make a matplotlib figure of charts, one below the other. Call this, and draw the figure, in ``chart_style``."""
    from matplotlib.figure import Figure

    height = sum(chart.height for chart in charts) + _GAP * (len(charts) - 1)
    figure = Figure(figsize=(WIDTH, height))
    top = 0.0
    for chart in charts:
        area = Area(figure, top, chart.height, theme)
        area.text(0.15, 0.12, chart.title, fontsize=12, fontweight="bold")
        area.text(0.15, 0.37, chart.reading, fontsize=9, color=theme.muted)
        chart.paint(area)
        area.text(0.15, chart.height - 0.2, chart.foot, fontsize=6.5, color=theme.muted)
        top += chart.height + _GAP
    return figure


_NO_DATE: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
