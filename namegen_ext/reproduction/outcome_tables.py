"""The outcomes of the rows: as a table for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from namegen_ext.reproduction.run import Check, Outcome

_COLUMNS = ("steps", "parameters", "train", "dev", "unseen dev", "published", "measured", "tolerance")


def print_table(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print a table with a line for each row and all its published figures, and the rows' notes below.

    Losses are in nats per character. "unseen dev" is the loss over the dev names that are not among the training names.
    """
    table = Table(pad_edge=False)
    table.add_column("recipe", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    for outcome in outcomes:
        table.add_row(
            outcome.row.recipe,
            f"{outcome.steps:,}",
            f"{outcome.parameters:,}",
            *(_loss(outcome.losses.get(metric)) for metric in ("train", "dev", "unseen_dev")),
            "\n".join(_published(check) for check in outcome.checks),
            "\n".join(_digits(check, check.measured) for check in outcome.checks),
            "\n".join(check.expectation.tolerance for check in outcome.checks),
            outcome.verdict,
            f"{outcome.seconds:.1f}",
        )
    console.print(table)
    for outcome in outcomes:
        if outcome.row.note:
            console.print(f"{outcome.row.recipe}: {outcome.row.note}", highlight=False, markup=False)


def summarise(outcomes: Sequence[Outcome]) -> str:
    """Say in one line how many rows came out as published."""
    missed = [outcome.row.recipe for outcome in outcomes if not outcome.ok]
    met = f"{len(outcomes) - len(missed)} of {len(outcomes)} rows as published"
    return f"{met}; not: {', '.join(missed)}" if missed else met


def to_json(outcome: Outcome) -> dict[str, Any]:
    """Return a row as a mapping that JSON can hold."""
    return {
        "name": outcome.row.recipe,
        "backend": outcome.backend,
        "steps": outcome.steps,
        "parameters": outcome.parameters,
        "published_parameters": outcome.row.parameters,
        **{f"{metric}_loss": value for metric, value in outcome.losses.items()},
        "checks": [
            {
                "metric": check.expectation.metric,
                "published": check.expectation.published,
                "measured": check.measured,
                "low": check.expectation.low,
                "high": check.expectation.high,
                "ok": check.ok,
            }
            for check in outcome.checks
        ],
        "verdict": outcome.verdict,
        "ok": outcome.ok,
        "seconds": outcome.seconds,
        "train_seconds": outcome.train_seconds,
        "note": outcome.row.note,
        "options": outcome.options,
    }


def to_markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the table as Markdown, with a line for each published figure. A row's first line has its other columns."""
    lines = [
        "| recipe | steps | parameters | train | dev | unseen dev | published | measured | tolerance | verdict | s |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --- | --: |",
    ]
    for outcome in outcomes:
        before = [f"`{outcome.row.recipe}`", f"{outcome.steps:,}", f"{outcome.parameters:,}"]
        before += [_loss(outcome.losses.get(metric)) for metric in ("train", "dev", "unseen_dev")]
        after = [outcome.verdict, f"{outcome.seconds:.1f}"]
        for number, check in enumerate(outcome.checks):
            figures = [_published(check), _digits(check, check.measured), check.expectation.tolerance]
            cells = [*before, *figures, *after] if number == 0 else ["", "", "", "", "", "", *figures, "", ""]
            lines.append(f"| {' | '.join(cells)} |")
    notes = [f"- `{outcome.row.recipe}`: {outcome.row.note}." for outcome in outcomes if outcome.row.note]
    return "\n".join([*lines, "", *notes, ""])


def _published(check: Check) -> str:
    metric = check.expectation.metric.replace("_", " ")
    value = check.expectation.published
    return f"{metric} {_digits(check, value)}" if value is not None else metric


def _digits(check: Check, value: float | None) -> str:
    """Write a loss with as many digits as the tolerance needs."""
    if value is None:
        return "-"
    exact = check.expectation.high - check.expectation.low < 1e-5
    return f"{value:.7f}" if exact else f"{value:.4f}"


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
