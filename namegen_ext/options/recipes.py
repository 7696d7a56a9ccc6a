"""Named sets of options: each published result, and the default. Flags given beside a recipe override it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from namegen_ext.options.recipe import ADAMW_LEARNING_RATE, MODEL_DEFAULTS, Recipe

__all__ = ["ADAMW_LEARNING_RATE", "BEST_RECIPE", "DEFAULT_RECIPE", "MODEL_DEFAULTS", "RECIPES", "Recipe"]

DEFAULT_RECIPE = "default"
BEST_RECIPE = "best"


def _counting() -> Iterator[Recipe]:
    counted: dict[str, Any] = {"init": "counts", "steps": 0}
    bigram: dict[str, Any] = {**counted, "model": "bigram", "block_size": 1}
    ngram: dict[str, Any] = {**counted, "model": "ngram"}
    yield Recipe(
        "bigram-counts",
        "bigram counts of all names, not smoothed",
        {**bigram, "smoothing": 0.0, "split": "all"},
    )
    yield Recipe(
        "bigram-counts-add-1",
        "bigram counts of all names, 1 added to each",
        {**bigram, "smoothing": 1.0, "split": "all"},
    )
    yield Recipe(
        "bigram-counts-split",
        "bigram counts of the training names, 1 added to each",
        {**bigram, "smoothing": 1.0},
    )
    yield Recipe(
        "4-gram-counts",
        "counts of what follows 3 characters, 0.1 added to each",
        {**ngram, "block_size": 3, "smoothing": 0.1},
    )
    yield Recipe(
        "witten-bell",
        "counts after 0 to 4 characters, interpolated by Witten and Bell's rule",
        {**ngram, "block_size": 4, "estimator": "witten-bell"},
    )
    yield Recipe(
        "kneser-ney",
        "counts after 0 to 5 characters, short ones by how many longer ones they end: Kneser and Ney's rule",
        {**ngram, "block_size": 5, "estimator": "kneser-ney"},
    )


def _best() -> Iterator[Recipe]:
    yield Recipe(
        "best",
        "counts and networks combined, chosen for the list by names that are held out",
        {**MODEL_DEFAULTS["mixture"], "model": "mixture"},
    )


def _devlog() -> Iterator[Recipe]:
    # All stages are trained in 20,001 steps of plain SGD, and drop the rate at half-way.
    plain: dict[str, Any] = {
        "batch_norm": False,
        "schedule": "two-step",
        "learning_rate": 0.08,
        "final_learning_rate": 0.0006,
    }
    normalised: dict[str, Any] = {
        "batch_norm": True,
        "schedule": "two-step",
        "learning_rate": 0.06,
        "final_learning_rate": 0.0003,
    }
    yield Recipe(
        "devlog-1-plain",
        "MLP, every weight standard normal: starts confidently wrong",
        {**plain, "init": "plain"},
    )
    yield Recipe(
        "devlog-2-small-output",
        "output layer scaled down: the loss starts at that of uniform predictions",
        {**plain, "init": "small-output"},
    )
    yield Recipe(
        "devlog-3-scaled-hidden",
        "hidden layer scaled too: tanh no longer saturates",
        {**plain, "init": "scaled-hidden"},
    )
    yield Recipe(
        "devlog-4-kaiming",
        "the hidden layer's scale by Kaiming's rule",
        {**plain, "init": "kaiming"},
    )
    yield Recipe("devlog-5-batch-norm", "batch norm before the tanh", {**normalised, "init": "kaiming"})
    yield Recipe("devlog-6-block-8", "8 characters of context in place of 3", {**normalised, "block_size": 8})
    yield Recipe(
        "devlog-7-hierarchical",
        "the 8 characters joined two by two, as in a WaveNet",
        {**normalised, "model": "wavenet", "block_size": 8, "hidden_size": 68, "hidden_bias": False},
    )


def _lectures() -> Iterator[Recipe]:
    yield Recipe(
        "lecture-bigram-network",
        "one linear layer over one-hot characters, full batch, all names",
        {
            **MODEL_DEFAULTS["bigram"],
            "model": "bigram",
            "split": "all",
            # The gradient of 0.01 * mean(W**2) over 27 x 27 weights is 0.02 / 729 * W.
            "weight_decay": 0.02 / 729,
            "steps": 300,
        },
    )
    long: dict[str, Any] = {
        "steps": 200_000,
        "schedule": "two-step",
        "learning_rate": 0.1,
        "final_learning_rate": 0.01,
    }
    plain = {**long, "batch_norm": False}
    # The lectures normalise by the unbiased variance.
    normalised = {**long, "batch_norm": True, "batch_norm_variance": "unbiased"}
    yield Recipe("lecture-mlp-1-plain", "MLP, every weight standard normal", {**plain, "init": "plain"})
    yield Recipe("lecture-mlp-2-small-output", "output layer scaled down", {**plain, "init": "small-output"})
    yield Recipe("lecture-mlp-3-unsaturated", "tanh no longer saturated", {**plain, "init": "unsaturated"})
    yield Recipe("lecture-mlp-4-kaiming", "scaled by Kaiming's rule", {**plain, "init": "kaiming"})
    yield Recipe(
        "lecture-mlp-5-batch-norm",
        "batch norm, no hidden bias",
        {**normalised, "hidden_bias": False},
    )
    yield Recipe("lecture-mlp-6-backprop", "batch norm with a hidden bias beside it", normalised)
    wavenet = {**normalised, "model": "wavenet", "block_size": 8, "hidden_bias": False}
    yield Recipe(
        "lecture-wavenet-1-flat",
        "8 characters joined at once",
        {**wavenet, "hidden_size": 200, "factors": "8"},
    )
    yield Recipe(
        "lecture-wavenet-2-hierarchical",
        "8 characters joined two by two",
        {**wavenet, "hidden_size": 68, "factors": "2x2x2"},
    )
    yield Recipe(
        "lecture-wavenet-3-large",
        "the same with embedding 24 and hidden 128",
        {**wavenet, "embedding_dim": 24, "hidden_size": 128, "factors": "2x2x2", "switch_at": 0.75},
    )
    yield Recipe(
        "lecture-gpt",
        "4 layers, 4 heads, width 64, block 16, AdamW; the split of makemore.py",
        # The published figure comes from makemore.py, which splits in its own way.
        {**MODEL_DEFAULTS["gpt"], "model": "gpt", "steps": 20_000, "split": "makemore", "split_seed": 3407},
    )


def _microgpt() -> Iterator[Recipe]:
    # A. Karpathy, "microgpt", 2026: 1,000 steps of one name each, in the order of the list that seed 42 shuffles. That
    # is the order of the split, of which the first 80% are enough.
    model: dict[str, Any] = {
        "model": "gpt",
        "block_size": 16,
        "embedding_dim": 16,
        "num_layers": 1,
        "num_heads": 4,
        "norm": "rms",
        "activation": "relu",
        "biases": False,
        "final_norm": False,
        "embedding_norm": True,
        "init": "microgpt",
        "optimizer": "adamw",
        "weight_decay": 0.0,
        "beta1": 0.85,
        "beta2": 0.99,
    }
    yield Recipe(
        "microgpt",
        "1 layer, 4 heads, width 16, one name a step: the published program, with the same losses",
        {
            **model,
            "learning_rate": 0.01,
            "schedule": "linear",
            "batch_size": 1,
            "order": "in-order",
            "steps": 1000,
        },
    )
    # Measured: dev loss 2.360 with microgpt's own recipe (names.txt, 1,000 steps of 1 name); with batches of 16 names
    # and a cosine schedule 2.207 (1,000 steps, rate 0.02), 2.176 (2,000 steps, rate 0.01), 2.135 (5,000 steps, rate
    # 0.01), 2.155 (5,000 steps, rate 0.02), 2.149 (5,000 steps, rate 0.005), 2.104 (20,000 steps, rate 0.005).
    yield Recipe(
        "microgpt-batch",
        "the same model in 5,000 batches of 16 names, which learns better per second",
        {
            **model,
            "learning_rate": 0.01,
            "schedule": "cosine",
            "batch_size": 16,
            "order": "shuffled",
            "steps": 5000,
        },
    )


_RECIPES = (
    Recipe(DEFAULT_RECIPE, "MLP with batch norm, Kaiming initialisation, cosine schedule", {}),
    *_best(),
    *_counting(),
    *_devlog(),
    *_lectures(),
    *_microgpt(),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _RECIPES}
