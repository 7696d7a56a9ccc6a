"""The models by name, with the options of each. Torch is imported when the class of a model is asked for."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelSpec:
    """A model that can be built by name.

    Attributes:
        name: what ``--model`` and config.json call it.
        origin: where its class is, as "MODULE:CLASS".
        options: the names of the options it takes beside ``vocab_size``, all of JSON-able values.
        summary: one line for ``--help``.
        sequences: whether it predicts all characters of a sequence at once, with targets (B, T); else the one
            character that follows a window, with targets (B,).
        counts: whether it can be set from counts, with ``init="counts"``.
        found: what its configuration holds in place of the options, where a search finds that for each list.
        with_categories: what its configuration holds besides, of names with categories.

    Example:
        >>> MODELS["ngram"].options
        ('block_size', 'init', 'estimator', 'smoothing')
        >>> MODELS["ngram"].build.__name__
        'NGram'

    """

    name: str
    origin: str
    options: tuple[str, ...]
    summary: str
    sequences: bool = False
    counts: bool = False
    found: tuple[str, ...] = ()
    with_categories: tuple[str, ...] = ()

    @property
    def build(self) -> type[nn.Module]:
        """Its class, called with ``vocab_size``, the options and ``generator``; imports torch."""
        module, _, name = self.origin.partition(":")
        built: type[nn.Module] = getattr(importlib.import_module(module), name)
        return built


# The ways to turn counts into probabilities; see csrc/core/engine/counts/smoothing.h.
KNESER_NEY = "kneser-ney"
ESTIMATORS = ("add-k", "witten-bell", KNESER_NEY)
TABLE_ESTIMATORS = ("add-k", "witten-bell")  # of a table that is trained on from there

# The norms and the activations of a GPT; see namegen_ext.models.GPT.
GPT_NORMS = ("layer", "rms")
GPT_ACTIVATIONS = ("gelu", "gelu-tanh", "relu")

# The largest table of a bigram or an n-gram: 256 MiB of float32.
MAX_TABLE_VALUES = 2**26

_SPECS = (
    ModelSpec(
        name="bigram",
        origin="namegen_ext.models.ngram:Bigram",
        options=("init",),
        summary="a table of logits for each character, trained, or set from counts",
        counts=True,
        with_categories=("block_size",),
    ),
    ModelSpec(
        name="ngram",
        origin="namegen_ext.models.ngram:NGram",
        options=("block_size", "init", "estimator", "smoothing"),
        summary="counts of what follows block-size characters: add-k, Witten-Bell or Kneser-Ney",
        counts=True,
        with_categories=("category_newest",),
    ),
    ModelSpec(
        name="mlp",
        origin="namegen_ext.models.mlp:MLP",
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
        origin="namegen_ext.models.wavenet:WaveNet",
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
        origin="namegen_ext.models.gpt:GPT",
        options=(
            "block_size",
            "embedding_dim",
            "num_layers",
            "num_heads",
            "dropout",
            "tied",
            "norm",
            "activation",
            "biases",
            "final_norm",
            "embedding_norm",
        ),
        summary="a decoder of causal self-attention over the word so far",
        sequences=True,
    ),
    ModelSpec(
        name="mixture",
        origin="namegen_ext.models.mixture:Mixture",
        options=("budget", "refit"),
        found=("block_size", "components"),
        with_categories=("num_categories",),
        summary="counts and networks combined, chosen for the list: as namegen fit does",
    ),
)

MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _SPECS}


def model_spec(name: str) -> ModelSpec:
    """Return the entry of a model.

    Raises:
        ValueError: there is no such model; one line that lists those there are.

    Example:
        >>> model_spec("bigram").summary
        'a table of logits for each character, trained, or set from counts'

    """
    if name in MODELS:
        return MODELS[name]
    raise ValueError(f"model must be one of {', '.join(MODELS)}, but got {name!r}")


def check_table_size(vocab_size: int, block_size: int) -> None:
    """Accept sizes whose table of logits, V**(block_size + 1) values, is not too large.

    Raises:
        ValueError: it would have more than :data:`MAX_TABLE_VALUES`.

    """
    # Logarithms are compared, because the power itself may have millions of digits.
    if (block_size + 1) * math.log2(vocab_size) > math.log2(MAX_TABLE_VALUES):
        raise ValueError(
            f"block_size must leave a table of at most {MAX_TABLE_VALUES:,} values, but got {block_size}:"
            f" {vocab_size} symbols make {vocab_size}**{block_size + 1}"
        )
