"""Results as bars: how much faster than the stock layers each peer is. Needs matplotlib."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from namegen_ext.benchmarks.comparison import STOCK, Comparison

FORMATS = ("pdf", "png", "svg")

# Okabe and Ito's colours, which people with any colour vision tell apart, on a white or a dark ground.
_COLOURS = {
    "fused-layers": "#0072B2",
    "fused-step": "#D55E00",
    "fused-op": "#56B4E9",
    "plain-tensors": "#999999",
    "torch.compile": "#E69F00",
    "jax-scan": "#009E73",
}
_MODES = ("forward+backward", "step")
_COLUMNS = 2


class PlotError(ValueError):
    """There can be no plot; the message says why."""


def check_plot(path: Path) -> None:
    """Make sure that a plot can be drawn, before anything is measured.

    Raises:
        PlotError: the file's ending is not one of FORMATS, its directory is missing, or matplotlib is.

    """
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise PlotError(f"got {str(path)!r}, expected a file that ends in .{', .'.join(FORMATS)}")
    if not path.resolve().parent.is_dir():
        raise PlotError(f"{path}: there is no directory {path.parent}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise PlotError("matplotlib is not installed: pip install matplotlib") from None


def draw(comparisons: Sequence[Comparison], path: Path, caption: str) -> None:
    """Draw the comparisons of whole steps and of forward+backward, a panel for each case and sizes.

    Args:
        comparisons: at least one of those modes.
        path: the file; see :func:`check_plot`.
        caption: stands below.

    Raises:
        PlotError: there is nothing to draw, or the file cannot be written.

    """
    from matplotlib.figure import Figure

    shown = [comparison for comparison in comparisons if comparison.mode in _MODES]
    panels = [list(group) for _, group in groupby(shown, key=lambda one: (one.suite, one.case, one.sizes))]
    if not panels:
        raise PlotError("nothing was measured that could be drawn")
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(6.4 * _COLUMNS, 3.4 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False)
    for position, axis in enumerate(axes.flat):
        if position < len(panels):
            _draw_panel(axis, panels[position])
        else:
            axis.set_axis_off()
    figure.supxlabel(caption, fontsize=7, wrap=True)

    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        figure.savefig(beside, dpi=150)
        os.replace(beside, path)
    except OSError as error:
        raise PlotError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)


def _draw_panel(axis: Any, comparisons: list[Comparison]) -> None:
    """Draw groups of bars, one group a batch, one bar a peer, whiskers from quartile to quartile."""
    first = comparisons[0]
    peers = list(dict.fromkeys(peer for one in comparisons for peer in one.peers if peer != STOCK))
    width = 0.8 / max(1, len(peers))
    for number, peer in enumerate(peers):
        places, heights, below, above = [], [], [], []
        for group, comparison in enumerate(comparisons):
            if peer in comparison.peers:
                speedup = comparison.speedup(peer)
                places.append(group + (number - (len(peers) - 1) / 2) * width)
                heights.append(speedup.median)
                below.append(speedup.median - speedup.lower)
                above.append(speedup.upper - speedup.median)
        bars = axis.bar(places, heights, width, label=peer, color=_COLOURS.get(peer), yerr=(below, above))
        axis.bar_label(bars, fmt="%.1f", fontsize=7)
    axis.axhline(1, color="#777777", linewidth=1)
    axis.set_xticks(range(len(comparisons)), [f"{one.batch:,}" for one in comparisons])
    axis.set_xlabel("batch")
    axis.set_ylabel("times as fast as stock layers")
    axis.set_title(f"{first.case}, {first.mode}\n{first.sizes}", fontsize=9)
    if peers:
        axis.margins(y=0.25)  # room for the legend above the bars
        axis.legend(fontsize=7, ncols=len(peers), loc="upper center")
