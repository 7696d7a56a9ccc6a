"""Recipes, which are named sets of options, and the options that a change of model or optimizer brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from namegen_ext.models import COUNTS
from namegen_ext.options.train_options import TrainOptions

# AdamW's steps do not scale with the gradient: a rate that suits SGD is far too high for it.
ADAMW_LEARNING_RATE = 0.002

# The options of each model that differ from the defaults of TrainOptions, which are those of the MLP.
MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "bigram": {
        "block_size": 1,
        "init": "plain",
        "full_batch": True,
        "learning_rate": 50.0,
        "schedule": "constant",
        "steps": 200,
    },
    "ngram": {"block_size": 3, "init": "counts", "smoothing": 0.1, "steps": 0},
    "mixture": {"block_size": 16, "steps": 0},
    "wavenet": {"block_size": 8, "embedding_dim": 24, "hidden_size": 128, "hidden_bias": False},
    "gpt": {
        "block_size": 16,
        "embedding_dim": 64,
        "optimizer": "adamw",
        "learning_rate": 0.0005,
        "weight_decay": 0.01,
        "beta2": 0.99,
        "schedule": "cosine",
    },
}


@dataclass(frozen=True)
class Recipe:
    """A named set of options.

    Attributes:
        name: what ``--recipe`` calls it.
        summary: one line about it.
        options: those that differ from the defaults of :class:`TrainOptions`.

    Example:
        >>> recipe = Recipe("small", "an MLP of 20 hidden units", {"hidden_size": 20, "steps": 500})
        >>> options = recipe.train_options({"steps": 50})
        >>> options.hidden_size, options.steps
        (20, 50)

    """

    name: str
    summary: str
    options: Mapping[str, Any]

    def train_options(self, overrides: Mapping[str, Any]) -> TrainOptions:
        """Return the recipe's options, with those of ``overrides`` in place of its own.

        A change of the model brings its :data:`MODEL_DEFAULTS` along. A change of the optimizer to AdamW brings
        :data:`ADAMW_LEARNING_RATE` with a cosine schedule down to 0. Both apply as far as ``overrides`` says
        nothing else. An initialisation from counts sets the number of steps to 0.

        Raises:
            OptionError: an option is unknown or out of range.

        """
        own = dict(self.options)
        model = overrides.get("model", TrainOptions.model)
        if "model" in overrides and model != own.get("model", TrainOptions.model):
            own |= MODEL_DEFAULTS.get(model, {})
        if overrides.get("init") == COUNTS:
            own["steps"] = 0
        options = {**own, **overrides}
        if options.get("optimizer") == "adamw" and own.get("optimizer") != "adamw":
            rates = {
                "learning_rate": ADAMW_LEARNING_RATE,
                "final_learning_rate": 0.0,
                "schedule": "cosine",
            }
            options = {**options, **rates, **overrides}
        return TrainOptions.from_json(options)
