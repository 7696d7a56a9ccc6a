"""What is told of the categories of a list: how often they are found, and the loss of each. Torch is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe_categories(report: Mapping[str, Any]) -> str:
    """Return the report of :meth:`namegen_ext.Generator.category_report`: a line, and one for each category."""
    width = max(map(len, report["losses"]))
    lines = [
        f"  {name.ljust(width)}  dev {_loss(losses['dev'])}, test {_loss(losses['test'])}"
        for name, losses in report["losses"].items()
    ]
    return "\n".join([describe_accuracy(report), *lines])


def describe_accuracy(report: Mapping[str, Any]) -> str:
    """Return how often the category of a held-out name is found, as a line of text."""
    if report["accuracy"] is None:
        return "no names were held out, so that it is not known how often a category is found"
    return (
        f"the category of {report['accuracy']:.1%} of {report['held_out']:,} held-out names is found"
        f" ({report['most_frequent']:.1%} have the commonest)"
    )


def _loss(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
