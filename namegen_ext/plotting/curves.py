"""Pictures over the steps of a run: the loss, and the sizes of the updates."""

from __future__ import annotations

import math
from typing import Any

from namegen_ext.diagnostics import Diagnosis
from namegen_ext.diagnostics.history import Curve
from namegen_ext.plotting.picture import NumberTable, Picture
from namegen_ext.plotting.style import (
    BLACK,
    BLUE,
    GREY,
    VERMILLION,
    add_legend,
    left_out,
    legend_height,
    line_styles,
    new_figure,
    on_phone,
    some,
    to_png,
)

USUAL_UPDATE_RATIO = -3.0
_MOST_LINES = 28
_LOG_SCALE_FROM = (
    4.0  # the axis is logarithmic where the largest loss is more than this many times the smallest
)


def draw_loss(diagnosis: Diagnosis) -> Picture | None:
    """Draw the loss and the learning rate over the steps; None where nothing was logged."""
    history = diagnosis.history
    if not history.train_loss:
        return None
    figure = new_figure(8.0, 5.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot(
        *_xy(history.train_loss), color=BLUE, linewidth=1.2, label="minibatches, mean since the last point"
    )
    if history.dev_loss:
        upper.plot(*_xy(history.dev_loss), "o--", color=VERMILLION, markersize=5, label="whole dev split")
    uniform = math.log(diagnosis.vocab_size)
    label = f"guessing: every symbol alike, ln {diagnosis.vocab_size} = {uniform:.2f}"
    upper.axhline(uniform, color=GREY, linewidth=1, linestyle=":", label=label)
    upper.set_ylabel("loss (nats per character)")
    _scale_loss(upper, [loss for curve in (history.train_loss, history.dev_loss) for _, loss in curve])
    upper.set_title("Loss: should fall fast, then flatten; dev rising away from it is overfitting")
    lower.plot(*_xy(history.learning_rate), color=BLUE)
    lower.set_ylim(bottom=0)
    lower.set_ylabel("learning rate")
    lower.set_xlabel("step")
    figure.legend(loc="outside lower center", ncols=1 if on_phone() else 3)
    return Picture(
        name="loss",
        title="Loss",
        alt=_loss_in_words(history.train_loss, history.dev_loss),
        how_to_read=(
            "A good run starts near the dotted line of plain guessing or soon gets below it (a start far above "
            "means confidently wrong initial weights), falls steeply and flattens out. A drop where the "
            "learning rate drops is noise going away. The dev loss climbing while the minibatch loss falls is "
            "overfitting."
        ),
        png=to_png(figure),
    )


def draw_updates(diagnosis: Diagnosis) -> Picture | None:
    """Draw the update-to-data ratio of each weight over the steps; None where it was not recorded."""
    ratios = diagnosis.history.update_ratios
    weights = [
        gradient.name for gradient in diagnosis.gradients if gradient.is_weight and gradient.name in ratios
    ]
    if not weights:
        return None
    shown = some(weights, _MOST_LINES)
    figure = new_figure(8.0, 4.6 + legend_height(shown))
    axis = figure.subplots()
    for name, style in zip(shown, line_styles(len(shown)), strict=True):
        axis.plot(*_xy(ratios[name]), label=name, linewidth=1.2, **style)
    axis.axhline(USUAL_UPDATE_RATIO, color=BLACK, linewidth=1, linestyle=(0, (6, 3)))
    axis.set_xlabel("step")
    axis.set_ylabel("log10 of update / data\n(standard deviations, one step)")
    axis.set_title("Update-to-data ratio: lines near -3 learn at a healthy pace")
    add_legend(axis, shown)
    last = {name: ratios[name][-1][1] for name in weights}
    return Picture(
        name="updates",
        title="Update-to-data ratio",
        alt="The update-to-data ratio of each weight over the steps. At the last one: "
        + ", ".join(f"{name} {value:.2f}" for name, value in last.items())
        + ".",
        how_to_read=(
            "Each line is one weight: how large a step's change is against the weight itself, in powers of "
            "ten. Around -3 (dashed) a step changes the weight by a thousandth. "
            + _schedule_in_words(diagnosis.history.learning_rate)
            + " Far above, the steps are too coarse. Lines far apart mean layers that learn at different speeds, often "
            "from a poor initialisation." + left_out(weights, shown, "weights")
        ),
        png=to_png(figure),
        table=NumberTable(
            ("weight", "first", "median", "last"),
            tuple((name, *_first_median_last(ratios[name])) for name in weights),
        ),
    )


def _schedule_in_words(rates: Curve) -> str:
    """Say what lines far below the usual ratio mean, given how the learning rate went."""
    values = [rate for _, rate in rates]
    if not values or values[-1] > 0.5 * max(values):
        return "Far below, it hardly learns: the learning rate is too low."
    highest = values.index(max(values))
    return (
        f"The learning rate falls from {values[highest]:.3g} at step {rates[highest][0]:,} to {values[-1]:.3g} at "
        "the end, and the lines fall with it, as they should. Read them where the rate is highest: far below the "
        "dashed line there, the rate is too low."
    )


def _xy(curve: Curve) -> tuple[list[int], list[float]]:
    return [step for step, _ in curve], [value for _, value in curve]


def _scale_loss(axis: Any, losses: list[float]) -> None:
    if min(losses) > 0 and max(losses) / min(losses) > _LOG_SCALE_FROM:
        from matplotlib.ticker import NullFormatter, ScalarFormatter

        axis.set_yscale("log", base=2)
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_ylabel("loss (nats per character, logarithmic)")


def _loss_in_words(train: Curve, dev: Curve) -> str:
    (first_step, first), (last_step, last) = train[0], train[-1]
    text = (
        f"The minibatch loss over the steps: {first:.3f} nats per character at step {first_step:,}, "
        f"{last:.3f} at step {last_step:,}."
    )
    return text + (f" The last dev loss is {dev[-1][1]:.3f}." if dev else "")


def _first_median_last(curve: Curve) -> tuple[str, str, str]:
    values = [value for _, value in curve]
    median = sorted(values)[len(values) // 2]
    return f"{values[0]:.2f}", f"{median:.2f}", f"{values[-1]:.2f}"
