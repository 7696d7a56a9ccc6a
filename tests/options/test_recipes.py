"""Recipes: the devlog's stages as tabulated, and overriding."""

from __future__ import annotations

import pytest
import torch

from namegen_ext.models import MODELS, build_model
from namegen_ext.training import RECIPES, TrainOptions

# init, batch norm, learning rate, and from half-way.
STAGES = {
    "devlog-1-plain": ("plain", False, 0.08, 0.0006),
    "devlog-2-small-output": ("small-output", False, 0.08, 0.0006),
    "devlog-3-scaled-hidden": ("scaled-hidden", False, 0.08, 0.0006),
    "devlog-4-kaiming": ("kaiming", False, 0.08, 0.0006),
    "devlog-5-batch-norm": ("kaiming", True, 0.06, 0.0003),
}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_of_the_devlog(name: str) -> None:
    options = RECIPES[name].train_options({})
    rates = (options.learning_rate, options.final_learning_rate)
    assert (options.init, options.batch_norm, *rates) == STAGES[name]
    assert (options.embedding_dim, options.block_size, options.hidden_size) == (10, 3, 200)
    assert (options.optimizer, options.momentum, options.weight_decay) == ("sgd", 0.0, 0.0)
    assert (options.schedule, options.batch_size, options.steps) == ("two-step", 32, 20_001)


def test_the_default_recipe_is_the_default_options() -> None:
    assert RECIPES["default"].train_options({}) == TrainOptions()


def test_overrides_take_precedence() -> None:
    options = RECIPES["devlog-5-batch-norm"].train_options({"learning_rate": 0.5, "hidden_size": 7})
    assert (options.learning_rate, options.hidden_size) == (0.5, 7)
    assert options.final_learning_rate == 0.0003


def test_changing_to_adamw_brings_its_learning_rate() -> None:
    for name in ("default", "devlog-1-plain"):
        options = RECIPES[name].train_options({"optimizer": "adamw"})
        assert options.learning_rate < 0.01
        assert options.schedule == "cosine"
    options = RECIPES["default"].train_options({"optimizer": "adamw", "learning_rate": 0.04})
    assert options.learning_rate == 0.04


def test_names_are_the_keys() -> None:
    assert [recipe.name for recipe in RECIPES.values()] == list(RECIPES)


# Model, block size, parameters, and the share of the steps after which the rate falls.
LECTURES = {
    "lecture-mlp-1-plain": ("mlp", 3, 11_897, 0.5),
    "lecture-mlp-2-small-output": ("mlp", 3, 11_897, 0.5),
    "lecture-mlp-3-unsaturated": ("mlp", 3, 11_897, 0.5),
    "lecture-mlp-4-kaiming": ("mlp", 3, 11_897, 0.5),
    "lecture-mlp-5-batch-norm": ("mlp", 3, 12_097, 0.5),
    "lecture-mlp-6-backprop": ("mlp", 3, 12_297, 0.5),
    "lecture-wavenet-1-flat": ("wavenet", 8, 22_097, 0.5),
    "lecture-wavenet-2-hierarchical": ("wavenet", 8, 22_397, 0.5),
    "lecture-wavenet-3-large": ("wavenet", 8, 76_579, 0.75),
}


@pytest.mark.parametrize("name", LECTURES)
def test_a_row_of_the_lectures(name: str) -> None:
    options = RECIPES[name].train_options({})
    model = build_model(options.model, options.model_config(27))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert (options.model, options.block_size, parameters, options.switch_at) == LECTURES[name]
    assert (options.steps, options.batch_size, options.split_seed) == (200_000, 32, 42)
    assert (options.schedule, options.learning_rate, options.final_learning_rate) == ("two-step", 0.1, 0.01)
    assert (options.optimizer, options.momentum, options.weight_decay) == ("sgd", 0.0, 0.0)
    if options.batch_norm:
        assert options.batch_norm_variance == "unbiased"


def test_the_gpt_of_the_lectures() -> None:
    options = RECIPES["lecture-gpt"].train_options({})
    assert (options.num_layers, options.num_heads, options.embedding_dim, options.block_size) == (
        4,
        4,
        64,
        16,
    )
    assert (options.optimizer, options.learning_rate, options.weight_decay) == ("adamw", 5e-4, 0.01)
    assert (options.beta1, options.beta2, options.schedule) == (0.9, 0.99, "cosine")
    model = build_model("gpt", options.model_config(27))
    assert sum(parameter.numel() for parameter in model.parameters()) == 204_544


def test_the_bigram_network_of_the_lectures() -> None:
    options = RECIPES["lecture-bigram-network"].train_options({})
    assert (options.model, options.full_batch, options.split) == ("bigram", True, "all")
    assert (options.learning_rate, options.schedule) == (50.0, "constant")
    # What SGD adds to the gradient is the derivative of 0.01 * mean(W**2).
    weight = torch.randn(27, 27, dtype=torch.float64, requires_grad=True)
    (0.01 * weight.square().mean()).backward()
    torch.testing.assert_close(weight.grad, options.weight_decay * weight.detach(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_built(name: str) -> None:
    options = RECIPES[name].train_options({})
    assert TrainOptions.from_json(options.to_json()) == options
    if not MODELS[options.model].found:
        build_model(options.model, options.model_config(27))


@pytest.mark.parametrize("model", [name for name, spec in MODELS.items() if not spec.found])
def test_a_change_of_the_model_brings_its_defaults(model: str) -> None:
    options = RECIPES["default"].train_options({"model": model})
    built = build_model(model, options.model_config(27))
    plain = build_model(model, {"vocab_size": 27})
    if model == "ngram":  # by itself it is a table, which can be trained
        plain = build_model(model, {"vocab_size": 27, "estimator": "add-k", "smoothing": 0.1})
    different = {key for key, value in plain.config.items() if built.config[key] != value}
    assert different == set(), "the model by itself and by the recipe are the same"


def test_overrides_beat_a_models_defaults() -> None:
    options = RECIPES["default"].train_options({"model": "wavenet", "block_size": 4, "hidden_size": 7})
    assert (options.block_size, options.hidden_size, options.embedding_dim) == (4, 7, 24)
    options = RECIPES["default"].train_options({"model": "gpt", "learning_rate": 0.1, "optimizer": "sgd"})
    assert (options.learning_rate, options.optimizer) == (0.1, "sgd")
    recipe = RECIPES["lecture-wavenet-1-flat"]
    assert recipe.train_options({"model": "wavenet"}) == recipe.train_options({})


def test_counts_leave_nothing_to_train() -> None:
    assert RECIPES["default"].train_options({"model": "bigram", "init": "counts"}).steps == 0
    options = RECIPES["default"].train_options({"model": "bigram", "init": "counts", "steps": 9})
    assert options.steps == 9
