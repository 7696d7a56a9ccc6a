"""What is told of a search: a table for the terminal, and what the summary holds."""

from __future__ import annotations

from typing import Any

from namegen_ext.fitting.log_linear import LEAST_GAIN
from namegen_ext.fitting.search import Search, Trial


def describe_search(search: Search) -> str:
    """Return what was tried, the losses and the weights as a small table, and why, in lines of text."""
    rows = [("model", "steps", "alone", "with counts", "weight", "seconds", "why")]
    for trial in search.trials:
        steps = f"{trial.steps:,}" if trial.steps else "-"
        weight = f"{trial.weight:.2f}" if trial.weight else "left out"
        numbers = (f"{trial.loss:.4f}", f"{trial.mixed_loss:.4f}", weight, f"{trial.seconds:.1f}")
        rows.append((trial.label, steps, *numbers, _why(trial)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = [
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:-1], widths[1:], strict=True))
        + f"  {row[-1]}"
        for row in rows
    ]
    how = "each name in turn, as the list is short" if search.cross_fitted else "the dev names"
    lines.append(
        f"held out: {how}; {search.num_held_out:,} names, loss {search.held_out_loss:.4f} by all together"
    )
    if search.known_factor < 1:
        lines.append(
            f"names of the list: {search.known_mass:.1%} of those that it would draw, {search.known_share:.1%} of those"
            f" held out; they are made rarer by the factor {search.known_factor:.3g}"
        )
    return "\n".join([*lines, *search.notes])


def _why(trial: Trial) -> str:
    """Say why a model was taken or left out, and why it has so many steps."""
    if not trial.weight:
        least = f"less than {LEAST_GAIN:g}" if trial.gain >= 0 else "nothing"
        reason = f"held-out names gain {least} by it"
    elif trial.gain > 0:
        reason = f"held-out names gain {trial.gain:.4f} by it"
    else:
        reason = "the best by itself"
    if len(trial.ladder) < 2:
        return reason
    first, last = trial.ladder[0][0], trial.ladder[-1][0]
    return f"{reason}; best of {first:,} to {last:,} steps"


def search_summary(search: Search) -> dict[str, Any]:
    """Return what summary.json holds of a search."""
    return {
        "trials": [
            {
                "label": trial.label,
                "steps": trial.steps,
                "loss": trial.loss,
                "loss_with_counts": trial.mixed_loss,
                "weight": trial.weight,
                "gain": trial.gain,
                "ladder": [{"steps": steps, "loss_with_counts": loss} for steps, loss in trial.ladder],
                "seconds": trial.seconds,
            }
            for trial in search.trials
        ],
        "held_out_loss": search.held_out_loss,
        "held_out_names": search.num_held_out,
        "cross_fitted": search.cross_fitted,
        "known_share": search.known_share,
        "known_mass": search.known_mass,
        "known_factor": search.known_factor,
        "refit": search.refit,
        "budget": search.budget,
        "notes": list(search.notes),
    }
