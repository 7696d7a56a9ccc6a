"""Charts of names per second, as dots on a logarithmic axis, and of the time to a given loss, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from namegen_bench.names import SAMPLE, STOCK, TIME_TO_LOSS
from namegen_bench.reporting.charts.bars import BAR_HEIGHT, names_width, paint_bars
from namegen_bench.reporting.charts.chart import HEADING, MARGINS, Area, Chart, set_heading
from namegen_bench.reporting.charts.look import ENGINE, Look, Theme, colour_of, looks_of
from namegen_bench.reporting.charts.select import (
    best_of_threads,
    case_title,
    grouped,
    machine_line,
    peers_of,
    short_time,
    times_as_fast,
)
from namegen_bench.reporting.results import Result

_BELOW, _ROW = 0.42, 0.24  # inches


def sampling(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the suite sample; None where it was not measured."""
    measured = [one for one in results if (one.key.suite, one.key.mode) == (SAMPLE, "name")]
    shown = best_of_threads(measured)
    if not shown:
        return None
    looks = looks_of(peers_of(shown), SAMPLE)
    panels = grouped(shown, lambda one: (one.key.case, one.key.sizes, one.key.batch))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)

    def paint(area: Area) -> None:
        all_axes = area.axes(rows, columns, left=names_width(looks), above=HEADING, below=_BELOW, right=0.15)
        for number, ((case, sizes, names), of_panel) in enumerate(panels.items()):
            axis = all_axes[number]
            found = {one.key.peer: 1 / one.seconds.median for one in of_panel}
            _paint_dots(axis, found, looks, area.theme, with_names=number % columns == 0)
            set_heading(axis, case_title(case), f"{names:,} names, {sizes}", area.theme)
            axis.set_xlabel("names per second")
        for unused in all_axes[len(panels) :]:
            unused.set_axis_off()

    return Chart(
        name="sampling",
        title="Drawing names: names per second, the making of tables included",
        reading="Further to the right is better; the axis is logarithmic. N×: times as fast as batched eager sampling.",
        alt=_alt(panels, looks),
        foot=machine_line(measured),
        height=MARGINS + rows * (HEADING + _BELOW + _ROW * len(looks)),
        paint=paint,
    )


def time_to_loss(results: Sequence[Result]) -> Chart | None:
    """Make the chart of the suite time-to-loss; None where it was not measured."""
    measured = [one for one in results if (one.key.suite, one.key.mode) == (TIME_TO_LOSS, "process")]
    shown = best_of_threads(measured)
    if not shown:
        return None
    looks = looks_of(peers_of(shown))
    panels = grouped(shown, lambda one: (one.key.case, one.key.sizes, one.key.batch))

    def paint(area: Area) -> None:
        all_axes = area.axes(len(panels), 1, left=names_width(looks), above=HEADING, below=0.12, right=1.0)
        for axis, ((case, sizes, _), of_panel) in zip(all_axes, panels.items(), strict=True):
            found = {one.key.peer: one for one in of_panel}
            paint_bars(axis, found, looks, area.theme)
            set_heading(axis, case_title(case), sizes, area.theme)

    seconds = [f"{looks[one.key.peer].label} {short_time(one.seconds.median)}" for one in shown]
    return Chart(
        name="time-to-loss",
        title="From the start of the process to a trained model",
        reading="Shorter is better. N×: times as fast as torch.nn eager.",
        alt=f"Bars of the time from the start of a process to a trained model: {', '.join(seconds)}.",
        foot=machine_line(measured),
        height=MARGINS + len(panels) * (HEADING + 0.12 + BAR_HEIGHT * len(looks)),
        paint=paint,
    )


def _paint_dots(
    axis: Any, found: dict[str, float], looks: dict[str, Look], theme: Theme, *, with_names: bool
) -> None:
    """Draw a dot for each peer. Bars would mislead: on a logarithmic axis they have no true length."""
    from matplotlib.ticker import NullLocator

    for place, (peer, look) in enumerate(looks.items()):
        if peer not in found:
            continue
        weight = "bold" if peer in ENGINE else "normal"
        axis.plot(found[peer], place, marker=look.mark, markersize=11 if look.mark == "*" else 7, linestyle="",
                  color=colour_of(look, theme))  # fmt: skip
        label = f"{float(f'{found[peer]:.3g}'):,.0f}"
        if STOCK in found and peer != STOCK:
            label += f"   {times_as_fast(found[peer] / found[STOCK])}"
        axis.annotate(
            label, (found[peer], place), (9, 0), textcoords="offset points", va="center", fontsize=8.5,
            fontweight=weight, color=theme.text,
        )  # fmt: skip
    axis.set_xscale("log")
    lowest, highest = min(found.values()), max(found.values())
    axis.set_xlim(lowest / 2, highest * (2 * highest / lowest) ** 0.6)  # room for the last label
    powers = [10**power for power in range(12) if lowest / 2 <= 10**power <= highest * 3]
    axis.set_xticks(powers, [_thousands(power) for power in powers])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_ylim(len(looks) - 0.5, -0.5)
    axis.set_yticks(
        range(len(looks)), [look.label for look in looks.values()] if with_names else [""] * len(looks)
    )
    for peer, label in zip(looks, axis.get_yticklabels(), strict=True):
        label.set(color=theme.text, fontweight="bold" if peer in ENGINE else "normal")
    axis.tick_params(axis="y", length=0)


def _thousands(value: float) -> str:
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:,.0f}{unit}"
    return f"{value:,.0f}"


def _alt(panels: dict[tuple[str, str, int], list[Result]], looks: dict[str, Look]) -> str:
    sentences = []
    for (case, _, _), of_panel in panels.items():
        rates = [f"{looks[one.key.peer].label} {1 / one.seconds.median:,.0f}" for one in of_panel]
        sentences.append(f"{case_title(case)}: {', '.join(rates)}")
    return "Dots of the names drawn per second. " + "; ".join(sentences) + "."
