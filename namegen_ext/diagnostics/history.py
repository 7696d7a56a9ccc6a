"""How a run went, as metrics.jsonl tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.files import is_file, read_text
from namegen_ext.runs.metrics import UPDATE_METRIC
from namegen_ext.runs.run_errors import RunError

# Pairs of (step, value) in ascending order of the steps.
Curve = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class RunHistory:
    """Values over the steps of a run.

    Attributes:
        train_loss: the mean loss of the minibatches since the point before, in nats per character.
        dev_loss: the loss over the whole dev split, in nats per character.
        learning_rate: the learning rate of the last step before each point.
        update_ratios: for each parameter, log10 of the standard deviation of one step's update over the standard
            deviation of the parameter; empty for a run that did not record it.

    """

    train_loss: Curve
    dev_loss: Curve
    learning_rate: Curve
    update_ratios: Mapping[str, Curve]


def read_history(directory: RunDirectory) -> RunHistory:
    """Read the metrics of a run. Where it has none, every curve is empty.

    A last line that was cut short is left out. That happens when a run is killed.

    Raises:
        RunError: the file cannot be read, or is damaged. The message is one line that names the file.

    """
    records = _read(directory) if is_file(directory.metrics) else []
    updates: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for name, ratio in (record.get(UPDATE_METRIC) or {}).items():
            if ratio is not None:
                updates.setdefault(name, []).append((record["step"], float(ratio)))
    return RunHistory(
        train_loss=_curve(records, "loss"),
        dev_loss=_curve(records, "dev_loss"),
        learning_rate=_curve(records, "learning_rate"),
        update_ratios={name: tuple(points) for name, points in updates.items()},
    )


def _curve(records: list[dict[str, Any]], key: str) -> Curve:
    points = {record["step"]: float(record[key]) for record in records if record.get(key) is not None}
    return tuple(sorted(points.items()))


def _read(directory: RunDirectory) -> list[dict[str, Any]]:
    lines = read_text(directory.metrics).splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # an integer with very many digits is a ValueError too
            if number == len(lines):
                break
            raise RunError(f"{directory.metrics}: line {number} is not JSON") from None
        if not _is_record(record):
            raise RunError(f"{directory.metrics}: line {number} does not hold a step and numbers")
        records.append(record)
    return records


def _is_record(record: Any) -> bool:
    """Tell whether a line holds what this module reads: a step, and numbers or nulls."""
    if not isinstance(record, dict) or isinstance(record.get("step"), bool):
        return False
    updates = record.get(UPDATE_METRIC) or {}
    step = record.get("step")
    if not isinstance(step, int) or not 0 <= step < 2**63 or not isinstance(updates, dict):
        return False
    numbers = [record.get(key) for key in ("loss", "dev_loss", "learning_rate")]
    return all(number is None or _is_number(number) for number in (*numbers, *updates.values()))


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) < 2**63  # a larger integer may not fit a float
    return isinstance(value, float)
