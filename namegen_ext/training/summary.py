"""The results of a run: the content of summary.json, and the text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from namegen_ext.options.train_options import TrainOptions
from namegen_ext.training.trainer import TrainResult


def summarize(
    result: TrainResult, options: TrainOptions, *, recipe: str, data_name: str, samples: Sequence[str]
) -> dict[str, Any]:
    """Return the content of summary.json.

    Losses are in nats per character over whole splits, and None (null) for a split without words. ``train_seconds``
    is the time spent in training steps, without evaluating and saving.
    """
    parameters = list(result.model.parameters())
    return {
        "model": options.model,
        "recipe": recipe,
        "backend": result.backend.name,
        "device": parameters[0].device.type,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "steps": result.steps,
        "batch_size": len(result.corpus.train[1]) if options.full_batch else options.batch_size,
        "train_loss": result.train_loss,
        "dev_loss": result.dev_loss,
        "test_loss": result.test_loss,
        "unseen_dev_loss": result.unseen_dev_loss,
        "train_seconds": result.train_seconds,
        "steps_per_second": result.steps_per_second,
        "interrupted": result.interrupted,
        "data": data_name,
        "seed": options.seed,
        "samples": list(samples),
    }


def describe_result(result: TrainResult) -> str:
    """Return the losses and the speed, as two lines of text."""
    losses = (
        f"train loss {_number(result.train_loss)}, dev {_number(result.dev_loss)}"
        f" (names not in train: {_number(result.unseen_dev_loss)}), test {_number(result.test_loss)}"
    )
    speed = (
        f"{result.steps:,} steps in {result.train_seconds:.1f} s, {result.steps_per_second:,.0f} steps/s"
        f" ({result.backend.name})"
    )
    return f"{losses}\n{speed}"


def describe_samples(samples: Sequence[str], width: int = 78) -> str:
    """Return the names in columns, read line by line."""
    if not samples:
        return ""
    column = max(map(len, samples)) + 2
    per_line = max(1, width // column)
    lines = [samples[start : start + per_line] for start in range(0, len(samples), per_line)]
    return "\n".join("".join(name.ljust(column) for name in line).rstrip() for line in lines)


def _number(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.4f}"
