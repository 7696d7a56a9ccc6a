"""The results of a run: the content of summary.json, and the text for the terminal."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from namegen_ext.models.number_of_values import number_of_values
from namegen_ext.options.train_options import TrainOptions
from namegen_ext.training.train_result import TrainResult

# Of fewer words, a tenth is too few to judge a model by.
MEANINGFUL_WORDS = 100


def summarize(
    result: TrainResult, options: TrainOptions, *, recipe: str, data_name: str, samples: Sequence[str]
) -> dict[str, Any]:
    """Return the content of summary.json.

    Losses are in nats per character over whole splits, and None (null) for a split without words. They are those of
    the kept model, which is that of ``kept_step``; ``last_dev_loss`` is that of the last step's model. With ``--ema``
    there are those of the average of the weights besides, as ``ema_train_loss`` and so on.
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
        "kept_step": result.kept_step,
        "best_step": result.best_step,
        "best_dev_loss": result.best_dev_loss,
        "last_dev_loss": result.last_dev_loss,
        "out_of_patience": result.out_of_patience,
        **{f"ema_{name}": loss for name, loss in (result.ema_losses or {}).items()},
        "train_seconds": result.train_seconds,
        "steps_per_second": result.steps_per_second,
        "interrupted": result.interrupted,
        "data": data_name,
        "seed": options.seed,
        "samples": list(samples),
    }


def describe_result(result: TrainResult) -> str:
    """Return the losses and the speed, as two lines of text, and one more where the dev loss has risen."""
    losses = describe_losses(
        {
            "train": result.train_loss,
            "dev": result.dev_loss,
            "unseen_dev": result.unseen_dev_loss,
            "test": result.test_loss,
        }
    )
    averaged = ""
    if result.ema_losses is not None:
        ema = {name.removesuffix("_loss"): loss for name, loss in result.ema_losses.items()}
        averaged = f"average of the weights: {describe_losses(ema)}"
    speed = f"set from counts ({result.backend.name})"
    if result.steps > 0:
        speed = (
            f"{result.steps:,} steps in {result.train_seconds:.1f} s, {result.steps_per_second:,.0f} steps/s"
            f" ({result.backend.name})"
        )
    return "\n".join(
        filter(None, [losses, averaged, speed, _describe_guessing(result), _describe_kept(result)])
    )


def _describe_guessing(result: TrainResult) -> str:
    """Say what to do where the model has learnt less than nothing."""
    num_symbols = len(result.corpus.vocabulary)
    guessing = math.log(num_symbols)
    if result.steps == 0 or result.train_loss is None or result.train_loss <= guessing:
        return ""
    has_schemes = hasattr(result.model, "init")  # a GPT has one way to begin
    wrong = " the weights began confidently wrong (--init kaiming)," if has_schemes else ""
    return (
        f"the train loss is above {guessing:.4f}, that of guessing evenly among the {num_symbols} symbols:{wrong} the"
        " steps were too few, or the --learning-rate is too high"
    )


def _describe_kept(result: TrainResult) -> str:
    """Say which model is kept where it is not the last, and what to do where the model learns the list by heart."""
    if result.best_step is None or result.best_step == result.steps:
        return ""
    is_best = result.kept_step == result.best_step
    best, last = _number(result.best_dev_loss), _number(result.last_dev_loss)
    if result.has_overfitted:
        kept = "that model is kept" if is_best else "--keep best keeps that model"
        return (
            f"the dev loss rose from {best} at step {result.best_step:,} to {last} at the end, as the model learns the"
            f" names by heart: {kept}; --patience 3 or fewer --steps end sooner, a smaller model or more"
            " --weight-decay may do better"
        )
    if is_best:
        return f"the model of step {result.best_step:,} is kept: its dev loss is {best}, that of the last step {last}"
    return ""


def describe_small_split(num_words: int, num_dev: int, num_test: int) -> str:
    """Return a sentence where a list has so few words that its dev and test losses mean little; else nothing."""
    if num_words >= MEANINGFUL_WORDS or num_dev + num_test == 0:
        return ""
    return (
        f"{num_dev:,} dev and {num_test:,} test names are too few for their losses to mean much: to choose between"
        " models, compare their means over several --split-seed"
    )


def describe_share_seen(num_examples: int, options: TrainOptions) -> str:
    """Return a sentence where the steps draw fewer examples than there are to train on; else nothing.

    Examples are drawn with replacement: k draws of n see 1 - (1 - 1 / n)^k of them, which is 1 - exp(-k / n) nearly.

    Example:
        >>> describe_share_seen(10_000_000, TrainOptions())
        '20,001 steps of 32 see 6% of the examples of this list: more --steps or a larger --batch-size see more'

    """
    drawn = options.steps * options.batch_size
    if options.full_batch or options.steps == 0 or drawn >= num_examples:
        return ""
    share = 1 - math.exp(-drawn / num_examples)
    shown = f"{share:.0%}" if share >= 0.01 else f"{share:.2%}"
    return (
        f"{options.steps:,} steps of {options.batch_size:,} see {shown} of the examples of this list: more --steps or a"
        " larger --batch-size see more"
    )


def describe_losses(losses: Mapping[str, float | None]) -> str:
    """Return the losses "train", "dev", "unseen_dev" and "test" as a line of text."""
    return (
        f"train loss {_number(losses['train'])}, dev {_number(losses['dev'])}"
        f" (names not in train: {_number(losses['unseen_dev'])}), test {_number(losses['test'])}"
    )


def describe_samples(samples: Sequence[str], width: int | None = None) -> str:
    """Return the names in columns, read line by line; a width of None is that of the terminal, else 80 characters."""
    if not samples:
        return ""
    if width is None:
        width = shutil.get_terminal_size().columns - 2
    column = max(map(len, samples)) + 2
    per_line = max(1, width // column)
    lines = [samples[start : start + per_line] for start in range(0, len(samples), per_line)]
    return "\n".join("".join(name.ljust(column) for name in line).rstrip() for line in lines)


def _number(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.4f}"
