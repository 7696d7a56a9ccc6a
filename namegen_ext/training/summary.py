"""What is told at the end of a run: summary.json, and the text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from namegen_ext.models.number_of_values import number_of_values
from namegen_ext.options.train_options import TrainOptions
from namegen_ext.training.trainer import TrainResult


def summarize(
    result: TrainResult, options: TrainOptions, *, recipe: str, data_name: str, samples: Sequence[str]
) -> dict[str, Any]:
    """Return the content of summary.json.

    ``*_loss`` are in nats per character over whole splits, None (null) for a split without words;
    ``train_seconds`` is the time spent in training steps, without evaluating and saving.
    """
    return {
        "model": options.model,
        "recipe": recipe,
        "backend": result.backend.name,
        "device": result.corpus.train[0].device.type,
        "parameters": number_of_values(result.model),
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
    losses = describe_losses(
        {
            "train": result.train_loss,
            "dev": result.dev_loss,
            "unseen_dev": result.unseen_dev_loss,
            "test": result.test_loss,
        }
    )
    speed = (
        f"{result.steps:,} steps in {result.train_seconds:.1f} s, {result.steps_per_second:,.0f} steps/s"
        f" ({result.backend.name})"
    )
    return f"{losses}\n{speed}"


def describe_losses(losses: Mapping[str, float | None]) -> str:
    """Return the losses "train", "dev", "unseen_dev" and "test" as a line of text."""
    return (
        f"train loss {_number(losses['train'])}, dev {_number(losses['dev'])}"
        f" (names not in train: {_number(losses['unseen_dev'])}), test {_number(losses['test'])}"
    )


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
