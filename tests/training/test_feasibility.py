"""What cannot be done with some words, or on this machine, is refused before it is begun, from Python too."""

from __future__ import annotations

import pytest

from namegen_ext import fit
from namegen_ext.data import load_words
from namegen_ext.training import RECIPES, OptionError, Trainer, TrainOptions
from namegen_ext.training.feasibility import check_feasible

WORDS = ["ann", "bob", "christopherson-x", "eva", "ida", "leo", "uma"]  # the longest has 16 characters


def test_a_block_that_no_word_fills() -> None:
    check_feasible(WORDS, TrainOptions(block_size=17))
    with pytest.raises(
        OptionError, match=r"^block_size: got 18, expected at most 17, as the longest word has 16 "
    ):
        check_feasible(WORDS, TrainOptions(block_size=18))
    check_feasible(["a", "b"], TrainOptions(block_size=16))
    with pytest.raises(
        OptionError, match=r"^block_size: got 17, expected at most 16, as the longest word has 1 "
    ):
        check_feasible(["a", "b"], TrainOptions(block_size=17))


def test_fit_and_trainer_refuse_it_too() -> None:
    with pytest.raises(OptionError, match=r"^block_size: got 18"):
        fit(WORDS, block_size=18, steps=2)
    with pytest.raises(OptionError, match=r"^block_size: got 18"):
        Trainer(WORDS, TrainOptions(block_size=18))


def test_memory_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("namegen_ext.training.feasibility.physical_memory", lambda: 2**20)
    check_feasible(WORDS, TrainOptions(hidden_size=10))
    large = TrainOptions(hidden_size=100_000)
    with pytest.raises(
        MemoryError, match=r"^training takes at least 0\.1 GiB .* parameters, 32 examples a step\)"
    ):
        check_feasible(WORDS, large)
    with pytest.raises(MemoryError, match="all examples a step"):
        check_feasible(WORDS, TrainOptions(hidden_size=100_000, full_batch=True))
    check_feasible(WORDS, large, "cuda")  # the device's memory is another one, of which torch tells
    monkeypatch.setattr("namegen_ext.training.feasibility.physical_memory", lambda: None)
    check_feasible(WORDS, TrainOptions(hidden_size=2**20, num_hidden_layers=1000))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("data", ["census", "surnames"])
def test_every_recipe_suits_the_lists_of_the_package(recipe: str, data: str) -> None:
    check_feasible(load_words(data).words, RECIPES[recipe].train_options({}))
