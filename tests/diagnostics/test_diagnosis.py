"""A whole run looked into."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from namegen_ext.data import build_windows
from namegen_ext.diagnostics import activation_statistics, bigram_counts, diagnose
from namegen_ext.diagnostics.diagnosis import OTHERS
from namegen_ext.plotting.all_pictures import draw_all
from namegen_ext.train import main as train
from namegen_ext.training import Run, RunError, load_run


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(1)
    folder = tmp_path_factory.mktemp("diagnosis")
    words = ["".join(draw.choices("abcde", k=draw.randint(2, 6))) for _ in range(100)]
    (folder / "words.txt").write_text("\n".join(words), encoding="utf-8")
    small = ["--steps", "20", "--hidden-size", "8", "--embedding-dim", "3", "--threads", "1"]
    assert train(["--data", str(folder / "words.txt"), "--out", str(folder / "run"), *small]) == 0
    return folder / "run"


def test_the_parts_are_those_of_the_run(run_path: Path) -> None:
    run = load_run(run_path)
    found = diagnose(run, examples=10**6)
    tokens, targets = build_windows(run.splits.train, run.vocabulary, 3)
    assert (found.model, found.step, found.layers, found.data) == ("mlp", 20, "stock", "words.txt")
    assert found.words == len(run.splits.train)
    assert found.examples == len(targets)
    assert found.symbols == (".", "a", "b", "c", "d", "e")
    assert found.bigram_counts == tuple(map(tuple, bigram_counts(run.splits.train, run.vocabulary).tolist()))
    # All examples, in another order: sums in float64 of the same numbers.
    (expected,) = activation_statistics(run.model, tokens, targets)
    (layer,) = found.activations
    assert layer.saturated == pytest.approx(expected.saturated, abs=1e-3)
    assert layer.mean == pytest.approx(expected.mean, abs=1e-5)
    assert [one.name for one in found.gradients] == [name for name, _ in run.model.named_parameters()]
    assert found.embedding is not None
    assert len(found.embedding.points) == 6
    assert not found.is_bigram
    assert all(sum(row) == pytest.approx(1, abs=1e-6) for row in found.model_bigrams)
    assert found.history.train_loss
    assert not found.history.update_ratios


def test_fused_finds_the_same(run_path: Path) -> None:
    stock = diagnose(load_run(run_path), examples=200)
    run = load_run(run_path)
    fused = diagnose(run, examples=200, fused=True)
    assert (stock.layers, fused.layers) == ("stock", "fused")
    assert "embedding_concat_linear" in fused.fusion
    same = {field.name for field in fields(stock)} - {
        "layers",
        "fusion",
        "activations",
        "gradients",
        "model_bigrams",
    }
    assert all(getattr(stock, name) == getattr(fused, name) for name in same)
    # float32 sums of at most 200 numbers in another order; see the tests of the two functions.
    for one, other in zip(stock.gradients, fused.gradients, strict=True):
        assert one.std == pytest.approx(other.std, rel=1e-3, abs=1e-7)
    for one_row, other_row in zip(stock.model_bigrams, fused.model_bigrams, strict=True):
        assert one_row == pytest.approx(other_row, abs=1e-5)


OTHER_MODELS: dict[str, list[str]] = {
    "bigram": ["--block-size", "1"],
    "wavenet": ["--block-size", "4", "--hidden-size", "8", "--embedding-dim", "3"],
    "gpt": ["--block-size", "8", "--embedding-dim", "8", "--num-layers", "2", "--num-heads", "2"],
}


@pytest.fixture(scope="module", params=sorted(OTHER_MODELS))
def other_run(
    request: pytest.FixtureRequest, run_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    path = tmp_path_factory.mktemp("models") / "run"
    flags = ["--model", request.param, *OTHER_MODELS[request.param], "--steps", "5", "--threads", "1"]
    assert train(["--data", str(run_path / "words.txt"), "--out", str(path), *flags]) == 0
    return load_run(path)


def test_every_model(other_run: Run) -> None:
    found = diagnose(other_run, examples=10**6)
    name = other_run.config.options.model
    assert found.model == name
    assert found.is_bigram == (name == "bigram")
    assert (found.embedding is None) == (name == "bigram")
    kinds = [layer.kind for layer in found.activations]
    assert kinds == {"bigram": [], "wavenet": ["Tanh"] * 2, "gpt": ["GELU"] * 2}[name]
    assert [one.name for one in found.gradients] == [name for name, _ in other_run.model.named_parameters()]
    assert all(one.std > 0 for one in found.gradients if one.is_weight)
    assert all(sum(row) == pytest.approx(1, abs=1e-6) for row in found.model_bigrams)
    if name == "gpt":  # every character of every training word, and its end, stands once among the targets
        predicted = sum(len(word) + 1 for word in other_run.splits.train)
        assert all(layer.values.total == predicted * 4 * 8 for layer in found.activations)
    if name == "bigram":
        with torch.no_grad():
            expected = other_run.model(torch.arange(6)[:, None])[0].double().softmax(1)
        torch.testing.assert_close(torch.tensor(found.model_bigrams, dtype=torch.float64), expected)


def test_every_model_fused(other_run: Run) -> None:
    stock = diagnose(other_run, examples=200)
    fused = diagnose(load_run(other_run.path), examples=200, fused=True)
    assert fused.layers == ("stock" if other_run.config.options.model == "bigram" else "fused")
    assert len(stock.activations) == len(fused.activations)
    # float32 sums of at most 200 * 4 numbers in another order, through two levels with batch norm.
    for layer, other_layer in zip(stock.activations, fused.activations, strict=True):
        assert layer.mean == pytest.approx(other_layer.mean, abs=1e-4)
        assert layer.std == pytest.approx(other_layer.std, abs=1e-4)
    for one, other in zip(stock.gradients, fused.gradients, strict=True):
        assert one.std == pytest.approx(other.std, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("model", ["bigram", "mlp"])
def test_thousands_of_symbols(model: str, tmp_path: Path) -> None:
    """The tables are of the most frequent symbols, and of all others together."""
    draw = random.Random(1)
    size = 2400
    letters = [chr(0x4E00 + number) for number in range(size)]
    weights = [1 / (1 + number) for number in range(size)]
    words = list({"".join(draw.choices(letters, weights, k=4)) for _ in range(3000)} | set(letters))
    (tmp_path / "words.txt").write_text("\n".join(words), encoding="utf-8")
    flags = ["--model", model, "--steps", "1", "--threads", "1", "--split", "all", "--fused"]
    assert train(["--data", str(tmp_path / "words.txt"), "--out", str(tmp_path / "run"), *flags]) == 0
    run = load_run(tmp_path / "run")
    began = time.perf_counter()
    found = diagnose(run)
    assert time.perf_counter() - began < 10  # the whole report; it was minutes
    assert found.vocab_size == size + 1
    assert len(found.symbols) == len(found.bigram_counts) == len(found.model_bigrams) == 100
    assert found.symbols[0] == "."
    assert found.symbols[-1] == OTHERS
    often = Counter("".join(words))
    assert min(often[symbol] for symbol in found.symbols[1:-1]) >= max(
        often[letter] for letter in letters if letter not in found.symbols
    )
    full = bigram_counts(words, run.vocabulary)
    assert sum(map(sum, found.bigram_counts)) == int(full.sum())
    place = run.vocabulary.encode(found.symbols[1])[0]
    assert sum(found.bigram_counts[1]) == int(full[place].sum())
    assert found.bigram_counts[0][1] == int(full[0, place])
    assert all(sum(row) == pytest.approx(1, abs=1e-6) for row in found.model_bigrams)
    if model == "mlp":
        assert found.embedding is not None
        assert len(found.embedding.points) == 99
    else:
        with torch.no_grad():
            expected = run.model(torch.tensor([[place]]))[0][0].double().softmax(0)
        assert found.model_bigrams[1][1] == pytest.approx(float(expected[place]), rel=1e-6)
    began = time.perf_counter()
    pictures, missing = draw_all(found)
    # Each picture is drawn four times: light and dark, wide and for phones. The bound leaves room for a busy machine.
    # Measured: 9.1 s for the whole command (an MLP of 2,401 symbols, a quiet 2-core machine).
    assert time.perf_counter() - began < 40
    assert any("most frequent of the 2,401 symbols" in sentence for sentence in missing)
    assert len(pictures) > 3


def test_a_block_of_one_symbol_is_a_bigram_model(run_path: Path, tmp_path: Path) -> None:
    flags = ["--steps", "5", "--hidden-size", "8", "--block-size", "1", "--threads", "1"]
    assert train(["--data", str(run_path / "words.txt"), "--out", str(tmp_path / "run"), *flags]) == 0
    assert diagnose(load_run(tmp_path / "run")).is_bigram


def test_the_seed_draws_the_examples(run_path: Path) -> None:
    run = load_run(run_path)
    first, again, other = (diagnose(run, examples=16, seed=seed).activations for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_no_examples_are_refused(run_path: Path) -> None:
    with pytest.raises(ValueError, match="examples must be at least 1, but got 0"):
        diagnose(load_run(run_path), examples=0)


def test_words_that_are_gone(run_path: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((run_path / name).read_bytes())
    with pytest.raises(RunError, match=r"words\.txt: there is no such file"):
        diagnose(load_run(tmp_path))
