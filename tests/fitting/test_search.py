"""The search: the same model for a seed, no better than what it is told, and nothing of the names that are kept out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import namegen_ext
from namegen_ext.data import Splits, Vocabulary, split_words
from namegen_ext.fitting import search as search_module
from namegen_ext.fitting.held_out import Examples
from namegen_ext.fitting.networks import FURTHER, WAVENET
from namegen_ext.fitting.search import Search, Searcher, default_budget, longest_share
from namegen_ext.fitting.search_report import describe_search
from namegen_ext.training import evaluate

# Seconds by which the search is planned; with the clock out of the way, as machines that run tests are busy.
BUDGET = 2.0


_IS_LATE = Searcher._is_late


@pytest.fixture(autouse=True, scope="module")
def _no_clock() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Searcher, "_is_late", lambda self, needed: False)
        patch.setattr(Searcher, "_goes_on", lambda *arguments: lambda done: True)
        yield


def searched(splits: Splits, vocabulary: Vocabulary, **options: Any) -> Search:
    return Searcher(splits, vocabulary, **{"budget": BUDGET, "seed": 7, **options}).run()


@pytest.fixture(scope="module")
def split(names: list[str]) -> tuple[Splits, Vocabulary]:
    return split_words(names, 3), Vocabulary.from_words(names)


@pytest.fixture(scope="module")
def found(split: tuple[Splits, Vocabulary]) -> Search:
    return Searcher(*split, budget=BUDGET, seed=7, refit=False).run()


def states_equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_same_seed_finds_the_same_model(split: tuple[Splits, Vocabulary], found: Search) -> None:
    again = searched(*split, refit=False)
    assert states_equal(found.model, again.model)
    assert found.losses == again.losses
    assert not states_equal(found.model, searched(*split, refit=False, seed=8).model)


def test_it_is_better_than_what_it_is_made_of(found: Search) -> None:
    assert found.held_out_loss <= min(trial.loss for trial in found.trials)
    assert found.held_out_loss <= min(trial.mixed_loss for trial in found.trials) + 1e-9
    assert sum(trial.weight > 0 for trial in found.trials) == len(found.model.components)
    assert found.cross_fitted


def test_its_losses_are_those_of_its_model(split: tuple[Splits, Vocabulary], found: Search) -> None:
    splits, vocabulary = split
    for name, words in (("train", splits.train), ("dev", splits.dev), ("test", splits.test)):
        made = Examples.of(words, vocabulary, found.model.block_size)
        assert found.losses[name] == pytest.approx(evaluate(found.model, made.tokens, made.targets), abs=1e-9)
    assert found.losses["test"] is not None
    assert found.losses["test"] < math.log(len(vocabulary)) - 0.5


def test_test_names_change_nothing_without_a_refit(split: tuple[Splits, Vocabulary], found: Search) -> None:
    splits, vocabulary = split
    others = Splits(splits.train, splits.dev, [word[::-1] for word in splits.test])
    assert states_equal(searched(others, vocabulary, refit=False).model, found.model)


def test_a_refit_learns_all_names(split: tuple[Splits, Vocabulary], found: Search) -> None:
    splits, vocabulary = split
    refitted = searched(splits, vocabulary, refit=True)
    assert refitted.losses == found.losses, "those of before the refit"
    made = Examples.of(splits.test, vocabulary, refitted.model.block_size)
    counts, own = refitted.model.components[0], found.model.components[0]
    assert counts.num_values > own.num_values  # type: ignore[operator]
    assert not states_equal(refitted.model, found.model)
    assert evaluate(counts, made.last(6), made.targets) < evaluate(own, made.last(6), made.targets)  # type: ignore[operator]


def test_names_of_the_list_are_drawn_as_often_as_held_out_ones_stand_in_it(found: Search) -> None:
    assert found.known_share == 0  # they are distinct
    assert found.known_mass > 0.03
    assert found.known_factor < 0.1


def test_repeats_are_drawn_where_held_out_names_repeat(names: list[str]) -> None:
    splits = split_words(names * 3, 3)
    repeated = searched(splits, Vocabulary.from_words(names), refit=False)
    assert repeated.known_share > 0.5
    assert repeated.known_factor == 1.0


def test_a_list_of_known_letters_is_tried_from_pretraining(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("namegen_ext.fitting.pretraining._STEPS", 20)
    words = [f"{first}{second}{third}a" for first in "bdklm" for second in "aeio" for third in "nrst"]
    splits = split_words(words, 1)
    trials = searched(splits, Vocabulary.from_words(words), refit=False, budget=6.0).trials
    labels = [trial.label for trial in trials]
    assert labels == ["counts, up to 6", "wavenet, pre-trained", "wavenet"]


def test_a_long_list_trains_each_network_once(
    split: tuple[Splits, Vocabulary], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "_LEAST_EPOCHS", 2)
    monkeypatch.setattr(Searcher, "_climb_all", lambda *arguments: pytest.fail("a ladder"))
    splits, vocabulary = split
    many = Splits(splits.train * 10, splits.dev, splits.test)
    trials = searched(many, vocabulary, refit=False, budget=0.4).trials
    assert [trial.label for trial in trials][:2] == ["counts, up to 6", "wavenet"]
    steps = {trial.steps for trial in trials[1:]}
    assert len(steps) == 1, "the same number of passes for each"


def test_a_budget_that_is_spent_ends_the_search(
    split: tuple[Splits, Vocabulary], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Searcher, "_is_late", _IS_LATE)
    hurried = searched(*split, refit=False, budget=1e-3)
    assert [trial.label for trial in hurried.trials] == ["counts, up to 6"]
    assert len(hurried.notes) == 2
    assert "was passed by" in hurried.notes[1]
    assert "the budget ended the search" in hurried.notes[0]
    assert "the budget ended the search" in describe_search(hurried)


@pytest.mark.parametrize("budget", [0.0, -1.0, math.inf, math.nan])
def test_a_budget_that_cannot_be(split: tuple[Splits, Vocabulary], budget: float) -> None:
    with pytest.raises(ValueError, match="budget must be a number of seconds above 0"):
        searched(*split, budget=budget)


def test_nothing_to_choose_by(split: tuple[Splits, Vocabulary]) -> None:
    _, vocabulary = split
    with pytest.raises(ValueError, match="splits must hold dev names"):
        searched(Splits(["αβ"], [], []), vocabulary)


def test_the_budget_grows_with_the_list() -> None:
    assert [default_budget(number) for number in (5, 10_000, 50_000, 90_000)] == [10, 10, 35, 60]


def test_progress_is_told_and_a_table_made(split: tuple[Splits, Vocabulary]) -> None:
    told: list[tuple[str, float]] = []
    found = searched(*split, refit=True, progress=lambda what, share: told.append((what, share)))
    assert [what for what, _ in told][:2] == ["counting", "wavenet, 50 steps"]
    assert all(0 <= share <= 1 for _, share in told)
    table = describe_search(found).splitlines()
    assert table[0].split() == ["model", "steps", "alone", "with", "counts", "weight", "seconds", "why"]
    assert table[1].startswith("counts, up to 6")
    assert "the best by itself" in "".join(table[1:3])
    assert re.search(r"held-out names gain .* by it", "".join(table[1:3]))
    assert re.search(r"; best of 50 to [\d,]+ steps$", table[2])
    assert any(line.startswith("held out: each name in turn") for line in table)


def test_few_names_are_said_to_be_few(names: list[str]) -> None:
    few = names[:40]
    found = searched(split_words(few, 1), Vocabulary.from_words(few), refit=False, budget=0.5)
    assert "40 names are few: the losses of 4 dev and 4 test names say little" in describe_search(found)
    assert found.cross_fitted


def test_networks_side_by_side_are_those_of_one_after_another(
    split: tuple[Splits, Vocabulary], found: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits, vocabulary = split
    models = []
    monkeypatch.setattr(search_module, "_LARGE_LIST", 0)
    monkeypatch.setattr(search_module, "_LEAST_EPOCHS", 0.5)
    monkeypatch.setattr(search_module, "_MOST_EPOCHS", 0.5)
    for threads in (1, 3):
        again = searched(splits, vocabulary, refit=True, threads=threads, budget=3.0)
        assert len(again.trials) > 2
        models.append(again)
    assert [trial.label for trial in models[0].trials] == [trial.label for trial in models[1].trials]
    assert states_equal(models[0].model, models[1].model)


def test_networks_of_one_kind_are_different() -> None:
    first, *others = [network.build(11, seed=3) for network in FURTHER if network.config == WAVENET.config]
    assert not others
    assert not states_equal(first, WAVENET.build(11, seed=3))


def test_the_longest_share_of_the_work() -> None:
    assert longest_share([3.0, 1.0, 1.0, 2.0], 1) == 7
    assert longest_share([3.0, 1.0, 1.0, 2.0], 2) == 4
    assert longest_share([3.0, 1.0], 5) == 3


# ---- from Python -------------------------------------------------------------------------------------------


def test_fit_finds_a_mixture_by_default(names: list[str], tmp_path: Path) -> None:
    generator = namegen_ext.fit(names, budget=BUDGET, refit=False, seed=7, split_seed=3)
    assert generator.config.options.model == "mixture"
    assert generator.config.recipe == "best"
    expected = Searcher(
        split_words(names, 3), Vocabulary.from_words(names), budget=BUDGET, seed=7, refit=False
    ).run()
    assert states_equal(generator.model, expected.model)
    assert generator.nll(generator.splits.test) == pytest.approx(expected.losses["test"], abs=1e-9)
    assert generator.summary is not None
    assert generator.summary["test_loss"] == expected.losses["test"]

    drawn = generator.sample(300, seed=1)
    assert sum(name in set(generator.splits.train) for name in drawn) <= 15  # 5%
    assert generator.sample(300, seed=1) == drawn
    assert generator.sample(50, seed=1, prefix="κα", temperature=0.7, top_k=5)[0].startswith("κα")
    generator.save(tmp_path / "run")
    loaded = namegen_ext.load(tmp_path / "run")
    assert repr(loaded) == repr(generator)
    assert loaded.sample(300, seed=1) == drawn
    assert loaded._model is None, "drawn without torch's model"
    assert loaded.nll(generator.splits.test) == generator.nll(generator.splits.test)
    python = list(loaded.stream(300, seed=1, backend="python"))
    # A letter in a million is another one, by rounding.
    assert sum(first != second for first, second in zip(drawn, python, strict=True)) <= 1


def test_a_refitted_generator_has_learnt_all_names(names: list[str]) -> None:
    generator = namegen_ext.fit(names, budget=BUDGET)
    for novel in (True, "train"):
        stream = generator.stream(200, seed=3, novel=novel)
        assert set(stream).isdisjoint(names)
    assert generator.config.options.refit
    assert f" on {len(names)} names of " in repr(generator)
    assert generator.summary is not None
    assert generator.summary["test_loss"] != pytest.approx(generator.nll(generator.splits.test), abs=1e-3)


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({"steps": 5}, "mlp"),
        ({"model": "wavenet", "steps": 5}, "wavenet"),
        ({"recipe": "kneser-ney"}, "ngram"),
    ],
)
def test_what_says_how_to_train_is_trained_so(names: list[str], options: dict[str, Any], model: str) -> None:
    assert namegen_ext.fit(names, **options).config.options.model == model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": -1}, r"budget: got -1\.0, expected"),
        ({"split": "all"}, "split: got 'all', expected '80-10-10'"),
        ({"recipe": "best", "fused": "sideways"}, "fused must be True, False or one of"),
        ({"device": "abacus"}, "device must be one of cpu, cuda, auto, but got 'abacus'"),
    ],
)
def test_bad_options_are_named(names: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        namegen_ext.fit(names, **options)


def test_too_few_names_to_choose_by() -> None:
    with pytest.raises(ValueError, match=r"^expected at least 6 names, as some are held out .* but got 5$"):
        namegen_ext.fit(["anna", "ben", "cleo", "dan", "eva"])


def test_a_training_is_broken_off_by_the_clock(
    split: tuple[Splits, Vocabulary], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("namegen_ext.fitting.networks._STEPS_A_CALL", 25)
    monkeypatch.setattr(Searcher, "_goes_on", lambda *arguments: lambda done: False)
    search = searched(split[0], split[1])
    assert [trial.label for trial in search.trials] == ["counts, up to 6"]
    assert any("the budget ended the search" in note for note in search.notes)


def test_a_budget_that_was_passed_is_told(split: tuple[Splits, Vocabulary]) -> None:
    search = searched(split[0], split[1], budget=0.001)
    assert any("the budget of 0.001 s was passed by" in note for note in search.notes)
