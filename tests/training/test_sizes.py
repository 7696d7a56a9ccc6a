"""The sizes that are computed from the options, against models that are built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from namegen_ext.models import build_model
from namegen_ext.training import TrainOptions
from namegen_ext.training.sizes import model_size, training_bytes

VOCAB_SIZE = 7

OPTIONS: list[dict[str, Any]] = [
    {"model": "bigram", "block_size": 1},
    {"model": "ngram", "block_size": 3, "init": "counts", "steps": 0},
    {},
    {"block_size": 1, "embedding_dim": 5, "hidden_size": 3},
    {"num_hidden_layers": 4, "hidden_size": 6, "hidden_bias": False},
    {"num_hidden_layers": 2, "hidden_size": 6, "batch_norm": False},
    {"batch_norm": False, "hidden_bias": False},
    {"model": "wavenet", "block_size": 8},
    {"model": "wavenet", "block_size": 12, "embedding_dim": 3, "hidden_size": 5, "factors": "3x4"},
    {"model": "wavenet", "block_size": 6, "factors": "6", "batch_norm": False, "hidden_bias": False},
    {"model": "gpt", "block_size": 16, "embedding_dim": 8},
    {"model": "gpt", "block_size": 5, "embedding_dim": 6, "num_layers": 1, "num_heads": 3, "tied": True},
]


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_the_parameters_are_those_of_the_model(given: dict[str, Any]) -> None:
    options = TrainOptions(**given)
    model = build_model(options.model, options.model_config(VOCAB_SIZE))
    built = sum(parameter.numel() for parameter in model.parameters())
    assert model_size(options, VOCAB_SIZE).parameters == built


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_the_widths_are_no_more_than_what_the_layers_give(given: dict[str, Any]) -> None:
    options = TrainOptions(**given)
    model = build_model(options.model, options.model_config(VOCAB_SIZE)).eval()
    given_by_layers = 0

    def count(layer: nn.Module, inputs: object, output: object) -> None:
        nonlocal given_by_layers
        if isinstance(output, torch.Tensor) and not list(layer.children()):
            given_by_layers += output.numel()

    for layer in model.modules():
        layer.register_forward_hook(count)
    model(torch.zeros(1, options.block_size, dtype=torch.int64))
    widths = model_size(options, VOCAB_SIZE).widths
    assert sum(widths) <= given_by_layers, "a bound from below must not refuse what fits"
    tanhs = [layer for layer in model.modules() if isinstance(layer, nn.Tanh)]
    assert len(widths) == len(tanhs) or options.model == "gpt"


def test_what_is_counted_beside_the_weights() -> None:
    one_example = {"batch_size": 1, "batch_norm": False, "hidden_size": 1000}
    weights = model_size(TrainOptions(**one_example), VOCAB_SIZE).parameters

    def copies(**given: Any) -> int:
        # Of a word of one character, so that windows and activations are small against the weights.
        return round(training_bytes(TrainOptions(**one_example, **given), VOCAB_SIZE, 2) / (4 * weights))

    assert copies() == 2  # weights and gradients
    assert copies(momentum=0.9) == 3
    assert copies(optimizer="adamw") == 4
    counted = TrainOptions(model="ngram", init="counts", steps=0)
    # Windows, and contexts of every length for each of their symbols: whatever the alphabet.
    assert (
        training_bytes(counted, VOCAB_SIZE, 1000)
        == 32 * 1000 * 3
        == training_bytes(counted, 9 * VOCAB_SIZE, 1000)
    )


def test_batches_and_words_count() -> None:
    few, many = (training_bytes(TrainOptions(batch_size=size), VOCAB_SIZE, 2) for size in (2, 1002))
    # 1,000 more examples of the hidden layer's results, and of the logits and their gradients.
    assert many - few == 4 * 1000 * (200 + 2 * VOCAB_SIZE)
    small, large = (
        training_bytes(TrainOptions(batch_size=2**20), VOCAB_SIZE, size) for size in (10, 10**9 + 10)
    )
    assert large - small == 8 * 3 * 10**9  # windows of three int64


def test_equal_contexts_are_counted_once() -> None:
    bigram = TrainOptions(model="bigram", block_size=1, full_batch=True)
    # However many words: a row of logits for each symbol, and the windows.
    for fused in (False, True):
        short, long = (training_bytes(bigram, 5491, size, fused=fused) for size in (10**6, 10**7))
        assert long - short == 8 * 9 * 10**6
        assert 3 * 4 * 5491**2 <= short - 8 * 10**6 <= 4 * 4 * 5491**2
    # Under batch norm all rows go through the stock layers; the engine computes equal ones once.
    normalised = TrainOptions(block_size=2, full_batch=True, hidden_size=100)
    stock, engine = (training_bytes(normalised, VOCAB_SIZE, 10**6, fused=fused) for fused in (False, True))
    assert stock - engine > 4 * (800_000 - VOCAB_SIZE**2) * 100
