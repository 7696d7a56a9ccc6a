"""The losses that a run's summary.json tells of, and what it tells of categories."""

from __future__ import annotations

from typing import Any

from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import is_file, read_json_object
from namegen_ext.runs.run_errors import RunError

_SPLITS = ("train", "dev", "test")


def saved_losses(directory: RunDirectory) -> dict[str, float | None]:
    """Return the losses of a run's model, in nats per character: "train", "dev" and "test".

    A run that has not ended, or whose summary is damaged, has none: names are drawn without them.
    """
    summary = _summary(directory)
    losses = {name: summary.get(f"{name}_loss") for name in _SPLITS}
    return {name: loss if isinstance(loss, float) else None for name, loss in losses.items()}


def saved_categories(directory: RunDirectory) -> dict[str, Any] | None:
    """Return what `Generator.category_report` told of a run when it ended; None where that is not known."""
    report = _summary(directory).get("categories")
    keys = {"accuracy", "most_frequent", "held_out", "losses"}
    return report if isinstance(report, dict) and keys == report.keys() else None


def _summary(directory: RunDirectory) -> dict[str, Any]:
    try:
        return read_json_object(directory.summary) if is_file(directory.summary) else {}
    except RunError:
        return {}
