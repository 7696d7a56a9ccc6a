"""Builds a model from its name and its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from namegen_ext.models.count_model import CountModel
from namegen_ext.models.specs import model_spec


def build_model(name: str, config: Mapping[str, Any], generator: torch.Generator | None = None) -> nn.Module:
    """Build a model from its name and its configuration.

    Args:
        name: a key of :data:`namegen_ext.models.MODELS`.
        config: ``vocab_size`` and any of the model's options; what is left out takes the model's default.
            ``model.config`` gives such a mapping.
        generator: where the initial weights are drawn from; None takes torch's global generator.

    Raises:
        ValueError: the model is unknown, ``vocab_size`` is missing, a key is not an option of the model,
            or a value is out of range.

    Example:
        >>> model = build_model("mlp", {"vocab_size": 27, "hidden_size": 100})
        >>> sum(parameter.numel() for parameter in model.parameters())
        6297

    """
    spec = model_spec(name)
    if "vocab_size" not in config:
        raise ValueError(
            f"the configuration of model {name!r} must hold vocab_size, but got {sorted(config)}"
        )
    options = spec.found or spec.options
    unknown = sorted(set(config) - {"vocab_size", *options, *spec.with_categories})
    if unknown:
        raise ValueError(
            f"model {name!r} takes vocab_size, {', '.join(options)}, but got {', '.join(unknown)}"
        )
    build = spec.build
    if name == "ngram" and "estimator" in config:
        build = CountModel  # without an estimator it is a table, which can be trained
    return build(**config, generator=generator)
