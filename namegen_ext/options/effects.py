"""Refuses options that change nothing beside the others: whoever asks for one of them means something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from namegen_ext.models import COUNTS, MODELS
from namegen_ext.options.choices import MICROGPT
from namegen_ext.options.recipe import MODEL_DEFAULTS
from namegen_ext.options.train_options import OptionError, TrainOptions

# These options matter only where there are steps.
_OF_STEPS = (
    "batch_size",
    "full_batch",
    "order",
    "warmup",
    "clip_grad_norm",
    "ema",
    "optimizer",
    "learning_rate",
    "final_learning_rate",
    "schedule",
    "switch_at",
    "momentum",
    "nesterov",
    "weight_decay",
    "beta1",
    "beta2",
)


_OF_COUNTS = ("estimator", "smoothing")

# What a model that is found by a search is told.
_OF_SEARCHES = ("model", "budget", "refit", "seed", "split", "split_seed")


def check_effects(given: Iterable[str], options: TrainOptions) -> None:
    """Make sure that everything that was asked for has an effect.

    An option may always be switched off: a model that knows no tied weights has none.

    Args:
        given: names of the options that were asked for.
        options: what they came to, together with the recipe's.

    Raises:
        OptionError: an option that was asked for changes nothing; the message says what it needs.

    """
    for name in given:
        value = getattr(options, name)
        if value is False:
            continue
        for needed in _needs(name, options):
            raise OptionError(name, f"got {value}, which changes nothing here, expected {needed} with it")


def has_effect(name: str, options: TrainOptions) -> bool:
    """Tell whether another value of an option would change something beside the other options.

    Example:
        >>> has_effect("batch_size", TrainOptions(model="bigram", block_size=1, full_batch=True))
        False

    """
    if name == "block_size" and options.model == "bigram":
        return False
    return not any(_needs(name, options))


def _needs(name: str, options: TrainOptions) -> Iterator[str]:
    """Yield what an option would need to have an effect."""
    if MODELS[options.model].found and name not in _OF_SEARCHES:
        if MODEL_DEFAULTS[options.model].get(name) == getattr(options, name):
            return  # it is so without being asked for
        yield "another model, as a search finds it out"
        return
    if name == "init" and options.init == MICROGPT:
        return  # the options have been checked
    models = [model for model, spec in MODELS.items() if name in spec.options and name not in _OF_COUNTS]
    is_one = options.model == "bigram" and name == "block_size"  # 1 is its only value there
    if models and options.model not in models and not is_one:
        yield f"--model {' or '.join(models)}"
    if name in _OF_STEPS and options.steps == 0:
        yield "--steps above 0"
    if name == "batch_norm_variance" and not options.batch_norm:
        yield "--batch-norm"
    if name in _OF_COUNTS and options.init != COUNTS:
        yield f"--init {COUNTS}"
    if name == "smoothing" and options.estimator != "add-k":
        yield "--estimator add-k"
    if name in ("batch_size", "order") and options.full_batch:
        yield "--no-full-batch"
    if name == "momentum" and options.optimizer != "sgd":
        yield "--optimizer sgd"
    if name in ("beta1", "beta2") and options.optimizer != "adamw":
        yield "--optimizer adamw"
    if name == "final_learning_rate" and options.schedule == "constant":
        yield "--schedule cosine, linear or two-step"
    if name == "switch_at" and options.schedule != "two-step":
        yield "--schedule two-step"
    if name == "split_seed" and options.split == "all":
        yield "another --split than all"
