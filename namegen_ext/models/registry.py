"""From a model's name to the class that builds it and the options it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from namegen_ext.models.gpt import GPT
from namegen_ext.models.mlp import MLP
from namegen_ext.models.ngram import Bigram, NGram
from namegen_ext.models.wavenet import WaveNet


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be built by name.

    Attributes:
        name: what ``--model`` and config.json call it.
        build: its class; called with ``vocab_size``, the options and ``generator``.
        options: the names of the options it takes beside ``vocab_size``, all of JSON-able values.
        summary: one line for ``--help``.
        sequences: whether it predicts all characters of a sequence at once, with targets (B, T); else the one
            character that follows a window, with targets (B,).
        counts: whether its method ``set_from_windows`` can set it from counts, with ``init="counts"``.

    """

    name: str
    build: type[nn.Module]
    options: tuple[str, ...]
    summary: str
    sequences: bool = False
    counts: bool = False


_SPECS = (
    ModelSpec(
        name="bigram",
        build=Bigram,
        options=("init",),
        summary="a table of logits for each character, trained, or set from counts",
        counts=True,
    ),
    ModelSpec(
        name="ngram",
        build=NGram,
        options=("block_size", "init"),
        summary="counts of what follows block-size characters: add-k or Witten-Bell",
        counts=True,
    ),
    ModelSpec(
        name="mlp",
        build=MLP,
        options=(
            "block_size",
            "embedding_dim",
            "hidden_size",
            "num_hidden_layers",
            "batch_norm",
            "init",
            "hidden_bias",
            "batch_norm_variance",
        ),
        summary="multi-layer perceptron over the last block-size characters",
    ),
    ModelSpec(
        name="wavenet",
        build=WaveNet,
        options=(
            "block_size",
            "embedding_dim",
            "hidden_size",
            "factors",
            "batch_norm",
            "init",
            "hidden_bias",
            "batch_norm_variance",
        ),
        summary="neighbouring characters joined level by level",
    ),
    ModelSpec(
        name="gpt",
        build=GPT,
        options=("block_size", "embedding_dim", "num_layers", "num_heads", "dropout", "tied"),
        summary="a decoder of causal self-attention over the word so far",
        sequences=True,
    ),
)

MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _SPECS}


def model_spec(name: str) -> ModelSpec:
    """Return the entry of a model.

    Raises:
        ValueError: there is no such model, in one line that lists those there are.

    """
    if name in MODELS:
        return MODELS[name]
    raise ValueError(f"model must be one of {', '.join(MODELS)}, but got {name!r}")


def build_model(name: str, config: Mapping[str, Any], generator: torch.Generator | None = None) -> nn.Module:
    """Build a model from its name and its configuration.

    Args:
        name: a key of :data:`MODELS`.
        config: ``vocab_size`` and any of the model's options; what is left out takes the model's default.
            ``model.config`` gives such a mapping.
        generator: where the initial weights are drawn from; None takes torch's global generator.

    Raises:
        ValueError: the model is unknown, ``vocab_size`` is missing, a key is not an option of the model,
            or a value is out of range.

    """
    spec = model_spec(name)
    if "vocab_size" not in config:
        raise ValueError(
            f"the configuration of model {name!r} must hold vocab_size, but got {sorted(config)}"
        )
    unknown = sorted(set(config) - {"vocab_size", *spec.options})
    if unknown:
        raise ValueError(
            f"model {name!r} takes vocab_size, {', '.join(spec.options)}, but got {', '.join(unknown)}"
        )
    return spec.build(**config, generator=generator)
