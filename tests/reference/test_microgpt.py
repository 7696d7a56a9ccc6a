"""microgpt in plain Python: the published figures, the package's model beside it, and the command."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from namegen_ext.data import load_words
from namegen_ext.models import GPT
from namegen_ext.models.microgpt import fill_as_microgpt
from namegen_ext.options.recipes import RECIPES
from namegen_ext.options.schedules import Schedule
from namegen_ext.training import Trainer, build_optimizer
from namegen_ext.training.backends import Backend, build_steps
from namegen_reference import microgpt
from namegen_reference.words import read_words

# A. Karpathy, "microgpt", 2026: on the 32,033 names of names.txt, seed 42.
FIRST_LOSSES = [3.3660, 3.4243, 3.1778, 3.0664, 3.2209, 2.9452, 3.2894, 3.3245, 2.8990, 3.2229]
PUBLISHED = {100: 3.3669, 500: 2.0645, 1000: 2.6497}
LOWEST, MEAN = 1.5782, 2.4517
NAMES = ["kamon", "ann", "karai", "jaire", "vialan"]
# Printed with four digits.
ROUNDED = 0.5e-4 + 1e-9
OPTIONS = RECIPES["microgpt"].train_options({})


def losses_of_the_package(words: list[str], backend: str, steps: int, dtype: torch.dtype) -> list[float]:
    """The first losses of the recipe, by one of its backends."""
    trainer = Trainer(words, OPTIONS)  # for its examples
    model = GPT(**OPTIONS.model_config(len(trainer.corpus.vocabulary))).to(dtype)
    fill_as_microgpt(model, OPTIONS.seed, len(words))
    optimizer = build_optimizer(
        "adamw",
        model.parameters(),
        learning_rate=OPTIONS.learning_rate,
        beta1=OPTIONS.beta1,
        beta2=OPTIONS.beta2,
    )
    if backend == "fused-layers":
        from namegen_ext import fuse

        assert fuse(model).fused
    schedule = Schedule("linear", OPTIONS.learning_rate, OPTIONS.final_learning_rate, OPTIONS.steps)
    rates = [schedule(step) for step in range(steps)]
    indices = trainer._indices(len(trainer.corpus.train[1])).steps(0, steps)
    runner = build_steps(Backend(backend), model, optimizer, *trainer.corpus.train)
    if backend == "fused-step":  # its runner gives float32
        return runner.engine.run(*trainer.corpus.train, indices, rates).tolist()  # type: ignore[attr-defined]
    return runner.run(indices, rates).tolist()


@pytest.mark.parametrize("backend", ["stock", "fused-layers", "fused-step"])
def test_the_package_has_the_losses_of_the_reference(backend: str) -> None:
    words = load_words("census").words
    model, shuffled, _ = microgpt.begin(words, OPTIONS.seed)
    expected = microgpt.train(model, shuffled, 12, planned=OPTIONS.steps)
    found = losses_of_the_package(words, backend, 12, torch.float64)
    assert found == pytest.approx(expected, rel=1e-9)
    narrow = losses_of_the_package(words, backend, 12, torch.float32)
    assert narrow == pytest.approx(expected, rel=1e-4)


def test_the_published_losses_by_plain_python(names_file: Path) -> None:
    model, shuffled, _ = microgpt.begin(read_words(str(names_file)), 42)
    losses = microgpt.train(model, shuffled, 10, planned=1000)
    assert losses == pytest.approx(FIRST_LOSSES, abs=ROUNDED)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_published_losses_by_the_engine(names_file: Path, dtype: torch.dtype) -> None:
    check_losses(losses_of_the_package(read_words(str(names_file)), "fused-step", 1000, dtype))


def check_losses(losses: list[float]) -> None:
    assert losses[:10] == pytest.approx(FIRST_LOSSES, abs=ROUNDED)
    for step, loss in PUBLISHED.items():
        assert losses[step - 1] == pytest.approx(loss, abs=ROUNDED), step
    assert min(losses) == pytest.approx(LOWEST, abs=ROUNDED)
    assert sum(losses) / 1000 == pytest.approx(MEAN, abs=ROUNDED)


@pytest.mark.long
def test_all_thousand_steps(names_file: Path) -> None:
    names = read_words(str(names_file))
    model, shuffled, rng = microgpt.begin(names, 42)
    losses = microgpt.train(model, shuffled)
    check_losses(losses)
    assert [model.sample(rng) for _ in range(5)] == NAMES
    for backend in ("stock", "fused-layers", "fused-step"):
        found = losses_of_the_package(names, backend, 1000, torch.float64)
        assert found == pytest.approx(losses, rel=1e-6), backend


def test_a_gradient_by_differences() -> None:
    model = microgpt.MicroGPT("abc", random.Random(1))
    loss = model.loss("abcab")
    loss.backward()
    parameters = model.parameters()
    for number in range(0, len(parameters), 97):
        parameter, h = parameters[number], 1e-6
        gradient = parameter.grad
        parameter.data += h
        above = model.loss("abcab").data
        parameter.data -= 2 * h
        below = model.loss("abcab").data
        parameter.data += h
        assert gradient == pytest.approx((above - below) / (2 * h), abs=1e-8)


@pytest.mark.parametrize("word", ["", "a", "abcabcabcabcabcabcabc"])
def test_names_of_any_length(word: str) -> None:
    model = microgpt.MicroGPT("abc", random.Random(1))
    assert model.loss(word).data == pytest.approx(1.386, abs=0.3)  # near log 4
    assert len(model.sample(random.Random(2))) <= 16


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = tmp_path / "words.txt"
    words.write_text("anna\nben\neve\nada\n", encoding="utf-8")
    assert microgpt.main([str(words), "--steps", "3", "--samples", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("4 names, 7 symbols, ")
    assert "step     3 of 3: loss " in out
    assert "loss over 1 names that no step has seen: " in out
    assert len(out.splitlines()) == 4 + 1 + 1 + 2


@pytest.mark.parametrize("arguments", [["--steps", "0"], ["--samples", "-1"]])
def test_wrong_arguments(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        microgpt.main([str(tmp_path / "none.txt"), *arguments])
    assert ended.value.code == 2
    assert f"argument {arguments[0]}: got" in capsys.readouterr().err
