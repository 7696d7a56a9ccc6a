"""The chart of ``bench quality``: for each list a dot for the test loss of each model."""

from __future__ import annotations

from collections.abc import Sequence

from namegen_bench.quality.quality_models import FIT, QUALITY_MODELS
from namegen_bench.quality.quality_table import ListResult
from namegen_bench.reporting.charts import look
from namegen_bench.reporting.charts.chart import MARGINS, Area, Chart

_LINE = 0.23  # inches of each list
_LOOKS = {
    "bigram": (look.SKY, "v"),
    "4-gram": (look.PURPLE, "^"),
    "witten-bell": (look.BLUE, "s"),
    "kneser-ney": (look.GREEN, "D"),
    "mlp": (look.ORANGE, "P"),
    "default": (look.GREY, "X"),
    "wavenet": (look.BLACK, "o"),
    "gpt": (look.BLACK, "x"),
    FIT: (look.VERMILLION, "*"),
}
_MOST = 3.6  # nats: what lies beyond is drawn at the edge


def quality_chart(results: Sequence[ListResult], foot: str) -> Chart:
    """Make the chart; the shortest list above."""
    labels = {model.name: model.label for model in QUALITY_MODELS}
    gains = [result.gain for result in results if result.gain is not None]
    mean = sum(gains) / max(len(gains), 1)

    def paint(area: Area) -> None:
        from matplotlib.lines import Line2D

        (axis,) = area.axes(1, 1, left=2.1, above=0.1, below=0.5, legend=0.5)
        for line, result in enumerate(results):
            for name, row in result.by_model.items():
                colour, mark = _LOOKS[name]
                colour = area.theme.black if colour == look.BLACK else colour
                place = min(row.test_loss, _MOST)
                axis.plot(
                    [place], [line], mark, color=colour, markersize=9 if name == FIT else 5, clip_on=False
                )
        axis.set_yticks(
            range(len(results)),
            [f"{result.list_name.replace('_', ' ')}, {result.names:,}" for result in results],
        )
        axis.set_ylim(len(results) - 0.5, -0.5)
        axis.set_xlabel(f"test loss, nats a character ({_MOST} and more at the right edge)")
        axis.grid(axis="both")
        handles = [
            Line2D(
                [],
                [],
                linestyle="",
                marker=mark,
                label=labels[name],
                color=area.theme.black if colour == look.BLACK else colour,
            )
            for name, (colour, mark) in _LOOKS.items()
            if any(name in result.by_model for result in results)
        ]
        area.legend(handles, 0.15, 4)

    shown = "; ".join(
        f"{result.list_name.replace('_', ' ')} ({result.names:,} names): "
        + ", ".join(f"{labels[name]} {row.test_loss:.2f}" for name, row in result.by_model.items())
        for result in results
    )
    return Chart(
        name="quality-losses",
        title="Loss on names that no model has seen, by list",
        reading=f"To the left is better. fit is {mean:.3f} nats a character below the best single model on average.",
        alt=f"Dots of the test loss of each model by list. {shown}.",
        foot=foot,
        height=MARGINS + 1.1 + _LINE * len(results),
        paint=paint,
    )
