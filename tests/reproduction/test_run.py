"""Running a row: its losses, the checks, and the verdict."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from namegen_ext import fit
from namegen_ext.data import Vocabulary, build_windows, split_words
from namegen_ext.models import Bigram
from namegen_ext.models.counting import count_windows
from namegen_ext.reproduction import ROWS, Check, Expectation, Row, run_row
from namegen_ext.training import RECIPES, Recipe, evaluate


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def words() -> list[str]:
    draw = random.Random(3)
    return ["".join(draw.choices("abcde", k=draw.randint(1, 4))) for _ in range(200)]


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> str:
    """A recipe that takes a moment."""
    options = {"hidden_size": 8, "embedding_dim": 3, "steps": 30, "batch_norm": False}
    monkeypatch.setitem(RECIPES, "small", Recipe("small", "a small run", options))
    return "small"


def anything(metric: str) -> Expectation:
    return Expectation(metric, 1.0, -math.inf, math.inf)


def test_losses_are_those_of_the_trained_model(words: list[str], recipe: str) -> None:
    outcome = run_row(Row(recipe, (anything("train"), anything("dev"))), words)
    assert outcome.ok
    assert outcome.verdict == "ok"
    assert (outcome.steps, outcome.backend) == (30, "stock")
    assert [check.measured for check in outcome.checks] == [outcome.losses["train"], outcome.losses["dev"]]
    assert outcome.seconds > outcome.train_seconds > 0
    assert outcome.losses["objective"] is None
    # The first loss: small weights of the output layer predict evenly, up to 0.01 * 8 values of tanh.
    assert outcome.losses["initial"] == pytest.approx(math.log(6), abs=0.05)


def test_a_row_of_a_mixture_keeps_the_test_names_out(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"model": "mixture", "block_size": 16, "steps": 0, "budget": 1.0}  # for counts alone
    monkeypatch.setitem(RECIPES, "found", Recipe("found", "counts", options))
    row = Row("found", (anything("dev"), Expectation("test", None, 0.0, 0.1)))
    outcome = run_row(row, words, seed=3)
    assert outcome.verdict == "out of tolerance"
    dev, test = outcome.checks
    generator = fit(words, recipe="found", seed=3, refit=False)
    assert dev.measured == pytest.approx(generator.nll(generator.splits.dev), abs=1e-9)
    assert test.measured == pytest.approx(generator.nll(generator.splits.test), abs=1e-9)
    assert outcome.parameters == generator.model.num_values
    assert (outcome.steps, outcome.options["refit"]) == (0, False)


def test_the_backend_is_as_asked(words: list[str], recipe: str) -> None:
    outcome = run_row(Row(recipe, ()), words, fused="layers")
    assert outcome.backend == "fused-layers"


def test_another_seed_is_another_run(words: list[str], recipe: str) -> None:
    row = Row(recipe, ())
    first, again, other = (run_row(row, words, seed=seed) for seed in (None, 42, 43))
    assert first.losses == again.losses
    assert first.losses != other.losses


def test_seen_and_unseen_make_the_whole(words: list[str]) -> None:
    outcome = run_row(ROWS["bigram-counts-split"], words)
    splits, vocabulary = split_words(words), Vocabulary.from_words(words)
    model = Bigram.from_counts(
        count_windows(*build_windows(splits.train, vocabulary, 1), len(vocabulary)), 1.0
    )
    seen = [word for word in splits.dev if word in set(splits.train)]
    assert seen
    assert splits.unseen_dev
    expected = evaluate(model, *build_windows(seen, vocabulary, 1))
    assert outcome.losses["seen_dev"] == pytest.approx(expected, abs=1e-6)


def test_the_objective_has_the_regulariser_in_it(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    options = RECIPES["lecture-bigram-network"].options
    monkeypatch.setitem(RECIPES, "short", Recipe("short", "", {**options, "steps": 5}))
    plain, regular = (
        run_row(Row("short", (anything("train"),), regulariser=factor), words) for factor in (0.0, 0.5)
    )
    assert plain.losses["objective"] is None
    assert regular.losses["train"] == plain.losses["train"]
    # The weights start as standard normal draws and have moved little: the mean of 36 squares is 1 +- 0.24,
    # and the frequent ones are smaller.
    difference = regular.losses["objective"] - regular.losses["train"]
    assert 0.5 * 0.2 < difference < 0.5 * 5


def test_a_figure_that_is_missed_is_out_of_tolerance(words: list[str], recipe: str) -> None:
    met, missed = anything("train"), Expectation("dev", 0.1, 0.05, 0.15)
    outcome = run_row(Row(recipe, (met, missed)), words)
    assert [check.ok for check in outcome.checks] == [True, False]
    assert not outcome.ok
    assert outcome.verdict == "out of tolerance"


def test_another_number_of_parameters_is_out_of_tolerance(words: list[str], recipe: str) -> None:
    # 6 symbols: 6 * 3, 9 * 8 + 8, 8 * 6 + 6.
    assert run_row(Row(recipe, (), parameters=152), words).ok
    assert not run_row(Row(recipe, (), parameters=153), words).ok


def test_a_diverged_run_is_told(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"steps": 50, "learning_rate": 1e38, "schedule": "constant", "batch_norm": False}
    monkeypatch.setitem(RECIPES, "wild", Recipe("wild", "", options))
    outcome = run_row(Row("wild", (anything("dev"),)), words)
    assert outcome.verdict == "diverged"
    assert not outcome.ok
    assert outcome.checks[0].measured is None


def test_the_ends_of_a_range_belong_to_it() -> None:
    expectation = Expectation("dev", 2.0, 1.5, 2.5)
    values = (1.49, 1.5, 2.5, 2.51, None)
    assert [Check(expectation, value).ok for value in values] == [False, True, True, False, False]
