"""Named sets of options. Flags given beside a recipe override it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from namegen_ext.training.options import TrainOptions

DEFAULT_RECIPE = "default"

# AdamW's steps do not scale with the gradient: a rate that suits SGD is far too high for it.
ADAMW_LEARNING_RATE = 0.002


@dataclass(frozen=True)
class Recipe:
    """A named set of options.

    Attributes:
        name: what ``--recipe`` calls it.
        summary: one line about it.
        options: those that differ from the defaults of :class:`TrainOptions`.

    """

    name: str
    summary: str
    options: Mapping[str, Any]

    def train_options(self, overrides: Mapping[str, Any]) -> TrainOptions:
        """Return the recipe's options, with those of ``overrides`` in place of its own.

        A change of the optimizer to AdamW brings :data:`ADAMW_LEARNING_RATE` along, with a cosine schedule
        down to 0, as far as ``overrides`` says nothing else.

        Raises:
            OptionError: an option is unknown or out of range.

        """
        options = {**self.options, **overrides}
        if options.get("optimizer") == "adamw" and self.options.get("optimizer") != "adamw":
            rates = {
                "learning_rate": ADAMW_LEARNING_RATE,
                "final_learning_rate": 0.0,
                "schedule": "cosine",
            }
            options = {**options, **rates, **overrides}
        return TrainOptions.from_json(options)


# 20,001 steps of plain SGD, the rate dropped at half-way: what the five stages share.
_DEVLOG: dict[str, Any] = {
    "batch_norm": False,
    "schedule": "two-step",
    "learning_rate": 0.08,
    "final_learning_rate": 0.0006,
}

_RECIPES = (
    Recipe(DEFAULT_RECIPE, "MLP with batch norm, Kaiming initialisation, cosine schedule", {}),
    Recipe(
        "devlog-1-plain",
        "MLP, every weight standard normal: starts confidently wrong",
        {**_DEVLOG, "init": "plain"},
    ),
    Recipe(
        "devlog-2-small-output",
        "output layer scaled down: the loss starts at that of uniform predictions",
        {**_DEVLOG, "init": "small-output"},
    ),
    Recipe(
        "devlog-3-scaled-hidden",
        "hidden layer scaled too: tanh no longer saturates",
        {**_DEVLOG, "init": "scaled-hidden"},
    ),
    Recipe(
        "devlog-4-kaiming",
        "the hidden layer's scale by Kaiming's rule",
        {**_DEVLOG, "init": "kaiming"},
    ),
    Recipe(
        "devlog-5-batch-norm",
        "batch norm before the tanh",
        {
            **_DEVLOG,
            "init": "kaiming",
            "batch_norm": True,
            "learning_rate": 0.06,
            "final_learning_rate": 0.0003,
        },
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _RECIPES}
