"""Run directories of counting models and mixtures: old and new ones, and what is said of damaged ones."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from namegen_ext import fit, load
from namegen_ext.generator import Generator
from namegen_ext.models import CountModel, NGram
from namegen_ext.runs.config import _sha256
from namegen_ext.runs.tensor_file import read_tensors, write_tensors
from namegen_ext.training import RunError, load_run


@pytest.fixture(scope="module")
def names() -> list[str]:
    draw = random.Random(0)
    made: dict[str, None] = {}
    while len(made) < 220:
        syllables = [draw.choice("βδκλμν") + draw.choice("αεο") for _ in range(draw.randint(2, 4))]
        made["".join(syllables) + draw.choice(["", "ς"])] = None
    return list(made)


@pytest.fixture(scope="module")
def saved(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("saved")
    fit(names, recipe="witten-bell", block_size=3).save(folder / "counts")
    fit(names, recipe="kneser-ney").save(folder / "kneser-ney")
    fit(names, budget=2.0).save(folder / "mixture")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def copied(saved: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(saved[name], tmp_path / name))


def change_tensors(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change what stands in a model's file, with a checksum that is right."""
    tensors, metadata = read_tensors(path / "model.safetensors")
    change(tensors)
    write_tensors(path / "model.safetensors", tensors, metadata)


def change_config(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((path / "config.json").read_text())
    change(content)
    content.pop("sha256")
    (path / "config.json").write_text(json.dumps({**content, "sha256": _sha256(content)}))


def error_of(path: Path) -> str:
    with pytest.raises(RunError) as caught:
        Generator.from_run(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError) as by_torch:
        load_run(path)
    assert str(by_torch.value) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["counts", "kneser-ney", "mixture"])
def test_both_ways_of_reading_give_the_same_names(name: str, saved: dict[str, Path]) -> None:
    without_torch = load(saved[name])
    drawn = without_torch.sample(100, seed=3)
    assert without_torch._model is None
    run = load_run(saved[name])
    of_module = Generator(run.model, run.config, run.words, steps=run.step)
    assert of_module.sample(100, seed=3) == drawn
    assert repr(of_module) == repr(without_torch)


def test_a_run_of_counts_takes_kilobytes(saved: dict[str, Path]) -> None:
    assert (saved["counts"] / "model.safetensors").stat().st_size < 20_000


def test_a_run_that_kept_counts_in_a_table_loads(
    names: list[str], copied: Callable[[str], Path], saved: dict[str, Path]
) -> None:
    path = copied("counts")
    new = load_run(path)
    assert isinstance(new.model, CountModel)
    old = NGram(new.model.vocab_size, 3)
    from namegen_ext.data import build_windows

    old.set_from_windows(*build_windows(new.splits.train, new.vocabulary, 3), estimator="witten-bell")
    write_tensors(path / "model.safetensors", old.state_dict(), {"step": 0})
    change_config(path, lambda content: [content["model"].pop(key) for key in ("estimator", "smoothing")])
    loaded = load(path)
    assert isinstance(loaded.model, NGram)
    expected = load(saved["counts"])
    # Logits in float32 against float64.
    assert loaded.nll(names) == pytest.approx(expected.nll(names), abs=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("pair_count"), "pair_count: got nothing, expected numbers (-1,) by config.json"),
        (
            lambda t: t.update(pair_count=t["pair_count"][:-1].clone()),
            "pair_count must have a number for each",
        ),
        (
            lambda t: t.update(first_pair=torch.zeros(3, 3)),
            "first_pair: got float32 (3, 3), expected numbers",
        ),
        (lambda t: t["pair_count"].zero_(), "pair_count must be above 0"),
        (lambda t: t["first_child"].fill_(1), "first_child must ascend from 1 to"),
        (lambda t: t["oldest_symbol"].fill_(99), "there must be a node for the empty context"),
        (lambda t: t["pair_symbol"].fill_(-5), "pair_symbol must lie in [0, vocab)"),
        (lambda t: t.update(more=torch.zeros(1)), "more: got float32 (1,), expected nothing"),
    ],
)
def test_counts_that_are_damaged(
    change: Callable[[dict[str, torch.Tensor]], None], message: str, copied: Callable[[str], Path]
) -> None:
    path = copied("counts")
    change_tensors(path, change)
    assert message in error_of(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["discounts"].fill_(7.0), "discounts must lie in [0, 1], [0, 2] and [0, 3]"),
        (lambda t: t["concentrations"].fill_(float("nan")), "concentrations must be finite and at least 0"),
        (
            lambda t: t.update(discounts=torch.zeros(2, 3)),
            "discounts: got float32 (2, 3), expected float64 (6, 3)",
        ),
    ],
)
def test_discounts_that_are_damaged(
    change: Callable[[dict[str, torch.Tensor]], None], message: str, copied: Callable[[str], Path]
) -> None:
    path = copied("kneser-ney")
    change_tensors(path, change)
    assert message in error_of(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["weights"].fill_(float("inf")), "weights must be finite"),
        (
            lambda t: t.update(weights=torch.zeros(9, dtype=torch.float64)),
            "weights: got float64 (9,), expected",
        ),
        (lambda t: t["known_adjustments"].fill_(-float("inf")), "known_adjustments must be finite"),
        (
            lambda t: t.update(known_adjustments=t["known_adjustments"][1:].clone()),
            "known_adjustments must be as many as known_keys",
        ),
        (lambda t: t["known_keys"].zero_(), "known_keys must ascend from 0 on"),
        (
            lambda t: t["known_keys"].mul_(1000),
            "known_keys must ascend from 0 on, the parent of each before it",
        ),
        (lambda t: t["components.0.pair_count"].zero_(), "pair_count must be above 0"),
        (lambda t: t.pop("components.0.pair_count"), "components.0.pair_count: got nothing"),
    ],
)
def test_a_mixture_that_is_damaged(
    change: Callable[[dict[str, torch.Tensor]], None], message: str, copied: Callable[[str], Path]
) -> None:
    path = copied("mixture")
    change_tensors(path, change)
    assert message in error_of(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(components=[]), "components must hold one model at least"),
        (lambda m: m.update(components=[{"name": "rnn"}]), "must be one of the other models, but is 'rnn'"),
        (
            lambda m: m.update(components=[{"name": "mixture"}]),
            "must be one of the other models, but is 'mixture'",
        ),
        (lambda m: m.update(components=[5]), "components must hold the options of models"),
        (lambda m: m.update(components=[{"name": "mlp"}]), "components must hold the options of models"),
        (lambda m: m.update(components=7), "components must hold the options of models"),
        (lambda m: m.pop("components"), "components must hold the options of models, but is None"),
        (lambda m: m.update(block_size=0), "block_size must be a positive integer"),
        (lambda m: m.update(vocab_size=3), "model: vocab_size is 3, expected 11"),
        (lambda m: m.update(depth=3), "model holds 'depth', which is unknown"),
    ],
)
def test_a_configuration_of_a_mixture_that_cannot_be(
    change: Callable[[dict[str, Any]], None], message: str, copied: Callable[[str], Path]
) -> None:
    path = copied("mixture")
    change_config(path, lambda content: change(content["model"]))
    assert message in error_of(path)
