"""Recipes: the devlog's stages as tabulated, and overriding."""

from __future__ import annotations

import pytest

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
