"""A panel of horizontal bars: one for the time of each peer, with its name to the left and the number at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from namegen_bench.names import STOCK
from namegen_bench.reporting.charts.look import ENGINE, OWN, Look, Theme, colour_of
from namegen_bench.reporting.charts.select import short_time, times_as_fast
from namegen_bench.reporting.results import Result

BAR_HEIGHT = 0.215  # inches, including the gap to the next bar


def names_width(looks: Mapping[str, Look]) -> float:
    """Return the width in inches that the names need."""
    return 0.25 + 0.075 * max(len(look.label) for look in looks.values())


def paint_bars(
    axis: Any,
    found: Mapping[str, Result],
    looks: Mapping[str, Look],
    theme: Theme,
    *,
    with_names: bool = True,
    places: int = 0,
) -> None:
    """Draw a bar for each peer. A peer that was not measured has a note in place of a bar.

    Args:
        axis: the matplotlib axes of the panel.
        found: the results, by peer.
        looks: the peers, from top to bottom.
        theme: the colours. Peers that are not part of this package are all grey, because their names stand beside them.
        with_names: whether the names stand to the left.
        places: how many bars the panel has room for, where that is more than there are bars.

    """
    longest = max((one.seconds.upper for one in found.values()), default=1.0)
    for place, peer in enumerate(looks):
        if peer not in found:
            axis.text(0.02 * longest, place, "not measured", va="center", fontsize=7.5, color=theme.muted)
            continue
        seconds = found[peer].seconds
        axis.barh(place, seconds.median, 0.74, clip_on=False, **_fill(peer, looks[peer], theme))
        axis.plot(
            (seconds.lower, seconds.upper),
            (place, place),
            color=theme.muted,
            linewidth=1.2,
            clip_on=False,
        )
        label = short_time(seconds.median)
        if STOCK in found and peer != STOCK:
            label += f"   {times_as_fast(found[STOCK].seconds.median / seconds.median)}"
        axis.text(
            seconds.upper + 0.02 * longest,
            place,
            label,
            va="center",
            fontsize=8.5,
            fontweight=_weight(peer),
            color=theme.text,
        )
    axis.set_xlim(0, longest * 1.42)  # room for the number of the longest bar
    axis.set_ylim(max(places, len(looks)) - 0.5, -0.5)
    axis.set_yticks(
        range(len(looks)), [look.label for look in looks.values()] if with_names else [""] * len(looks)
    )
    for peer, label in zip(looks, axis.get_yticklabels(), strict=True):
        label.set(color=theme.text, fontweight=_weight(peer))
    axis.tick_params(length=0)
    axis.set_xticks([])
    axis.grid(visible=False)
    axis.spines["bottom"].set_visible(False)


def _weight(peer: str) -> str:
    return "bold" if peer in ENGINE else "normal"


def _fill(peer: str, look: Look, theme: Theme) -> dict[str, Any]:
    own = peer in OWN
    return {
        "facecolor": colour_of(look, theme) if own else theme.neutral,
        "hatch": look.hatch if own else "",
        "edgecolor": theme.ground,  # the colour of the hatch
        "linewidth": 0,
    }
