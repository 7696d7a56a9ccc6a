"""Pictures of the layers: activations, saturation, gradients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from namegen_ext.diagnostics import ActivationStatistics, Diagnosis, GradientStatistics, Histogram
from namegen_ext.diagnostics.activations import FLAT_SLOPE, SATURATED_TANH
from namegen_ext.plotting.picture import NumberTable, Picture
from namegen_ext.plotting.style import (
    BLUE,
    GREEN,
    SHADE,
    add_legend,
    left_out,
    legend_height,
    line_styles,
    new_figure,
    panels,
    some,
    to_png,
)

_MOST_PANELS = 12
_MOST_LINES = 28
_COLUMNS = 3


def draw_activations(diagnosis: Diagnosis) -> Picture | None:
    """Draw a histogram of each activation layer's outputs; None for a model without such layers."""
    layers = diagnosis.activations
    if not layers:
        return None
    shown = some(layers, _MOST_PANELS)
    figure, axes = panels(len(shown), _COLUMNS, 4.0, 2.9)
    for axis, layer in zip(axes, shown, strict=True):
        _bars(axis, layer.values, BLUE)
        if _is_tanh(layer):
            for side in (-1, 1):
                axis.axvspan(side * SATURATED_TANH, side * 1.0, color=SHADE, linewidth=0, zorder=0)
        axis.set_title(f"{layer.name} ({layer.kind})\n{layer.saturated:.1%} saturated", fontsize=10)
        axis.set_xlabel("output (no unit)")
        axis.set_ylabel("share of outputs")
        axis.yaxis.set_major_formatter(_percent())
    title = "all outputs in one place are a layer that does nothing"
    if all(map(_is_tanh, shown)):
        title = "spread over the range is healthy, all at the ends is saturation"
    figure.suptitle(f"Activations: {title}", fontsize=11)
    return Picture(
        name="activations",
        title="Activations",
        alt="Histograms of the activation layers' outputs. "
        + " ".join(
            f"{layer.name} ({layer.kind}): mean {layer.mean:.2f}, standard deviation {layer.std:.2f}, "
            f"{layer.saturated:.1%} saturated."
            for layer in layers
        ),
        how_to_read=_how_to_read_activations(diagnosis, shown),
        png=to_png(figure),
        table=NumberTable(
            ("layer", "kind", "mean", "std", "saturated", "units", "stuck units"),
            tuple(
                (
                    layer.name,
                    layer.kind,
                    f"{layer.mean:.4f}",
                    f"{layer.std:.4f}",
                    f"{layer.saturated:.2%}",
                    f"{layer.units:,}",
                    f"{layer.stuck_units:,}",
                )
                for layer in layers
            ),
        ),
    )


def draw_saturation(diagnosis: Diagnosis) -> Picture | None:
    """Draw how saturated the units of each activation layer are; None for a model without such layers."""
    layers = diagnosis.activations
    if not layers:
        return None
    shown = some(layers, _MOST_PANELS)
    figure, axes = panels(len(shown), _COLUMNS, 4.0, 2.9)
    for axis, layer in zip(axes, shown, strict=True):
        _bars(axis, layer.unit_saturation, GREEN, as_counts=True)
        stuck = (
            "no unit is stuck"
            if layer.stuck_units == 0
            else f"{layer.stuck_units:,} of {layer.units:,} stuck"
        )
        axis.set_title(f"{layer.name} ({layer.kind})\n{stuck}", fontsize=10)
        axis.set_xlabel("share of the examples in which\na unit is saturated")
        axis.set_ylabel("units")
        axis.xaxis.set_major_formatter(_percent())
        axis.yaxis.get_major_locator().set_params(integer=True)
    figure.suptitle("Saturation by unit: bars at the right end are units that hardly learn", fontsize=11)
    return Picture(
        name="saturation",
        title="Saturation",
        alt="Histograms of the units' shares of saturated outputs. "
        + " ".join(
            f"{layer.name}: {layer.stuck_units:,} of {layer.units:,} units are stuck." for layer in layers
        ),
        how_to_read=(
            "Each unit is counted at the share of examples for which its activation is nearly flat (slope below "
            f"{FLAT_SLOPE:.2f}; for tanh, output beyond ±{SATURATED_TANH}). Units at the left pass gradients "
            "for nearly all examples. A unit at 100% is stuck: no example of this batch moves the weights "
            "before it." + left_out(layers, shown, "layers")
        ),
        png=to_png(figure),
    )


def draw_gradients(diagnosis: Diagnosis) -> Picture | None:
    """Draw histograms of the gradients, for each layer's output and each weight; None where there are none."""
    if diagnosis.step == 0:  # set from counts: no gradient has to do with it
        return None
    outputs = [layer.gradient for layer in diagnosis.activations if layer.gradient is not None]
    weights = [gradient for gradient in diagnosis.gradients if gradient.is_weight]
    groups = [
        (title, some(group, _MOST_LINES))
        for title, group in (("by the outputs of activation layers", outputs), ("by the weights", weights))
        if group
    ]
    if not groups:
        return None
    lower, upper = _occupied([one.log10_magnitude for _, group in groups for one in group])
    legends = sum(legend_height([one.name for one in group]) for _, group in groups)
    figure = new_figure(8.6, 3.4 * len(groups) + 0.4 + legends)
    axes = figure.subplots(len(groups), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (title, group) in zip(axes, groups, strict=True):
        _lines(axis, group)
        axis.set_title(f"gradient of the loss {title}", fontsize=10)
        axis.set_ylabel("share of elements")
        axis.yaxis.set_major_formatter(_percent())
        axis.set_xlim(lower, upper)
    axes[-1].set_xlabel("log10 of the gradient's absolute value (nats per unit of the tensor)")
    figure.suptitle("Gradients: humps at the same place mean that all layers learn alike", fontsize=11)
    everything = [*outputs, *diagnosis.gradients]
    return Picture(
        name="gradients",
        title="Gradients",
        alt="Histograms of the gradients' sizes. Standard deviations: "
        + ", ".join(f"{one.name} {one.std:.1e}" for one in everything)
        + ".",
        how_to_read=(
            f"Computed over {diagnosis.examples:,} training examples with the weights that were saved. Among "
            "layers of one kind the humps should lie over each other: a shift to the left from layer to layer, "
            "going towards the input, is a vanishing gradient, one to the right an exploding one. A tail far to "
            "the left is harmless; exact zeros are not drawn, their share is in the table."
            + left_out(weights, some(weights, _MOST_LINES), "weights")
        ),
        png=to_png(figure),
        table=NumberTable(
            ("tensor", "shape", "mean", "std", "std / data std", "zeros"),
            tuple(
                (
                    one.name,
                    " × ".join(map(str, one.shape)) if one not in outputs else "outputs",
                    f"{one.mean:.2e}",
                    f"{one.std:.2e}",
                    f"{one.std / one.data_std:.2e}" if one.data_std > 0 else "-",
                    f"{one.zeros:.1%}",
                )
                for one in everything
            ),
        ),
    )


def _is_tanh(layer: ActivationStatistics) -> bool:
    return layer.kind == "Tanh" or layer.kind.endswith(", tanh")


def _how_to_read_activations(diagnosis: Diagnosis, shown: Sequence[ActivationStatistics]) -> str:
    text = (
        f"The outputs for {diagnosis.examples:,} training examples. An output in the flat part of its activation "
        f"(slope below {FLAT_SLOPE:.2f}"
    )
    if any(map(_is_tanh, shown)):
        text += f"; for tanh beyond ±{SATURATED_TANH}, shaded"
    text += (
        ") lets hardly any gradient through: a few per cent of them are fine, most of them mean that the values "
        "before the activation are too large. All outputs close to 0 mean that they are too small."
    )
    if not all(map(_is_tanh, shown)):
        text += " A ReLU and its smooth kin (GELU, SiLU) have many outputs near 0 by nature."
    if diagnosis.layers == "fused":
        text += " To look at these layers, they were run one by one for this batch; a fused call would not show them."
    return text + left_out(diagnosis.activations, shown, "layers")


def _bars(axis: Any, histogram: Histogram, colour: str, *, as_counts: bool = False) -> None:
    heights = histogram.counts if as_counts else histogram.shares
    widths = [right - left for left, right in pairwise(histogram.edges)]
    axis.bar(histogram.edges[:-1], heights, widths, align="edge", color=colour)
    axis.set_xlim(histogram.edges[0], histogram.edges[-1])
    axis.grid(visible=False, axis="x")


def _lines(axis: Any, group: Sequence[GradientStatistics]) -> None:
    for one, style in zip(group, line_styles(len(group)), strict=True):
        shares, edges = one.log10_magnitude.shares, one.log10_magnitude.edges
        middles = [(left + right) / 2 for left, right in pairwise(edges)]
        axis.plot(middles, shares, label=one.name, linewidth=1.3, **style)
    axis.set_ylim(bottom=0)
    add_legend(axis, [one.name for one in group])


def _occupied(histograms: Sequence[Histogram]) -> tuple[float, float]:
    """Return a range that holds nearly everything, which is 99.9% of each histogram."""
    lower, upper = [], []
    for histogram in histograms:
        spare = histogram.total // 2000
        lower.append(histogram.edges[_first_past(histogram.counts, spare)])
        upper.append(histogram.edges[-1 - _first_past(histogram.counts[::-1], spare)])
    return min(lower) - 0.2, max(upper) + 0.2


def _first_past(counts: Sequence[int], spare: int) -> int:
    """Return the first bin up to which there are more than ``spare`` values; 0 where there is none."""
    seen = 0
    for number, count in enumerate(counts):
        seen += count
        if seen > spare:
            return number
    return 0


def _percent() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(xmax=1)
