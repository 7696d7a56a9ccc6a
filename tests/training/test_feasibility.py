"""What cannot be done with some words, or on this machine, is refused before it is begun, from Python too."""

from __future__ import annotations

import pytest

from namegen_ext import fit
from namegen_ext.data import load_words
from namegen_ext.options.block_size import fitted_block_size
from namegen_ext.training import RECIPES, TrainOptions
from namegen_ext.training.feasibility import check_feasible

WORDS = ["ann", "bob", "christopherson-x", "eva", "ida", "leo", "uma"]  # the longest has 16 characters


def test_a_block_that_no_word_fills_is_taken_as_the_longest_word() -> None:
    most = TrainOptions(block_size=17)  # the mark of the start, and 16 characters
    assert fitted_block_size(most, ["block_size"], WORDS) == (most, ())
    fitted, notes = fitted_block_size(TrainOptions(block_size=18), ["block_size"], WORDS)
    assert fitted == most
    assert len(notes) == 1
    assert notes[0].startswith("block-size 18 is taken as 17: the longest word has 16 characters")


def test_a_block_that_nobody_asked_for_stays() -> None:
    options = TrainOptions(block_size=18)
    assert fitted_block_size(options, [], WORDS) == (options, ())
    check_feasible(WORDS, options)


def test_fit_takes_it_as_the_longest_word() -> None:
    generator = fit(WORDS, block_size=18, steps=2, hidden_size=4)
    assert generator.config.options.block_size == 17
    assert len(generator.sample(2, seed=1)) == 2


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
