"""load_run: what a run directory must hold, and what is said where it does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from namegen_ext.data import load_words
from namegen_ext.generator import Generator
from namegen_ext.runs.config import _sha256
from namegen_ext.train import main
from namegen_ext.training import RunError, load_run

SMALL = ["--hidden-size", "8", "--embedding-dim", "3", "--steps", "4", "--samples", "0"]


@pytest.fixture(scope="module")
def word_file(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "made-up.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def saved(word_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "run"
    assert main([*SMALL, "--data", str(word_file), "--out", str(path)]) == 0
    return path


@pytest.fixture
def run_path(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    config = json.loads((path / "config.json").read_text())
    change(config)
    (path / "config.json").write_text(json.dumps(config))


def error_of(path: Path) -> str:
    with pytest.raises(RunError) as caught:
        load_run(path)
    assert "\n" not in str(caught.value)
    # What reads the run without torch says the same.
    with pytest.raises(RunError) as without_torch:
        Generator.from_run(path)
    assert str(without_torch.value) == str(caught.value)
    return str(caught.value)


def test_words_of_a_file_are_kept_in_the_run(
    run_path: Path, words: list[str], word_file: Path, tmp_path: Path
) -> None:
    moved = word_file.rename(tmp_path / "moved.txt")
    try:
        assert load_run(run_path).words == words
    finally:
        moved.rename(word_file)


def test_words_of_the_package_are_not_copied(tmp_path: Path) -> None:
    assert main([*SMALL, "--out", str(tmp_path / "run")]) == 0
    assert not (tmp_path / "run" / "words.txt").exists()
    assert load_run(tmp_path / "run").words == load_words("census").words


def test_a_file_named_like_a_list_of_the_package_is_kept(words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "census"
    path.write_text("\n".join(words), encoding="utf-8")
    assert main([*SMALL, "--data", str(path), "--out", str(tmp_path / "run")]) == 0
    assert load_run(tmp_path / "run").words == words


def test_the_global_generator_is_left_alone(run_path: Path) -> None:
    before = torch.get_rng_state()
    load_run(run_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_other_words_are_noticed(run_path: Path) -> None:
    with (run_path / "words.txt").open("a") as file:
        file.write("another\n")
    run = load_run(run_path)  # the words are not needed yet
    with pytest.raises(RunError, match="is not the word list of the run"):
        _ = run.words


def test_missing_words_are_noticed(run_path: Path) -> None:
    (run_path / "words.txt").unlink()
    with pytest.raises(RunError, match=r"words\.txt: there is no such file"):
        _ = load_run(run_path).splits


def test_no_directory(tmp_path: Path) -> None:
    assert "there is no such directory" in error_of(tmp_path / "nowhere")


def test_not_a_run(tmp_path: Path) -> None:
    assert "is not a run directory (it has no config.json)" in error_of(tmp_path)


def test_no_model_yet(run_path: Path) -> None:
    (run_path / "model.safetensors").unlink()
    assert "holds no trained model yet" in error_of(run_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_config(run_path: Path, content: bytes) -> None:
    (run_path / "config.json").write_bytes(content)
    assert "config.json" in error_of(run_path)


@pytest.mark.parametrize(
    "key", ["model", "vocabulary", "data", "training", "recipe", "fused", "device", "format", "run"]
)
def test_a_config_without_a_part(run_path: Path, key: str) -> None:
    edit(run_path, lambda config: config.pop(key))
    message = error_of(run_path)
    assert "config.json" in message
    assert key in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.update(format=2), "format is 2, expected 1 (a newer version wrote it)"),
        (lambda config: config["training"].update(steps="many"), "steps: got 'many'"),
        (lambda config: config["training"].update(depth=3), "depth: there is no such option"),
        (lambda config: config["model"].update(vocab_size=7), "vocab_size is 7, expected 14"),
        (lambda config: config["model"].update(name="gpt"), "different models"),
        (
            lambda config: config["model"].update(hidden_size=9),
            "hidden_size is 9, expected 8 by training and vocabulary",
        ),
        (lambda config: config["model"].update(hidden_size="9"), "hidden_size is '9', expected 8"),
        (lambda config: config["model"].update(depth=9), "depth"),
        (lambda config: config.update(extra=9), "holds 'extra', which is unknown"),
        (lambda config: config["data"].update(extra=9), "data holds 'extra', which is unknown"),
        (lambda config: config["run"].update(extra=9), "run must hold"),
        (lambda config: config["run"].update(samples=-1), "run: samples is -1, expected 0 at least"),
        (lambda config: config["run"].update(threads="2"), "run: threads is '2', expected int"),
        (lambda config: config.update(fused="fast"), "fused is 'fast', expected null or one of auto"),
        (lambda config: config["training"].update(seed=7), "was changed after training wrote it"),
        (lambda config: config.update(model=3), "config.json"),
        (lambda config: config.update(vocabulary=3), "config.json"),
        (lambda config: config.update(data=[]), "config.json"),
    ],
)
def test_a_config_that_does_not_hold_together(
    run_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    edit(run_path, change)
    assert said in error_of(run_path)


def test_a_vocabulary_that_the_words_do_not_fit(run_path: Path) -> None:
    """The checksum fits, and there are as many symbols as before."""

    def replace_last_symbol(config: dict[str, Any]) -> None:
        del config["sha256"]
        config["vocabulary"]["symbols"] = (
            config["vocabulary"]["symbols"][:-1] + "\N{CYRILLIC SMALL LETTER ZHE}"
        )
        config["sha256"] = _sha256(config)

    edit(run_path, replace_last_symbol)
    run = load_run(run_path)
    with pytest.raises(RunError, match=r"which the vocabulary in .* lacks"):
        _ = run.words


@pytest.mark.parametrize("option", ["num_hidden_layers", "num_layers"])
def test_more_layers_than_can_be_built(run_path: Path, option: str) -> None:
    edit(run_path, lambda config: config["training"].update({option: 1001}))
    assert f"{option}: got 1001, expected a whole number from 1 to 1,000" in error_of(run_path)


def test_a_gpt_of_a_version_that_had_one_kind_of_it(tmp_path: Path) -> None:
    path = tmp_path / "run"
    sizes = ["--model", "gpt", "--embedding-dim", "4", "--num-layers", "1", "--steps", "2", "--samples", "0"]
    assert main([*sizes, "--out", str(path)]) == 0
    kept = load_run(path).model.state_dict()

    def forget(config: dict[str, Any]) -> None:
        del config["sha256"]
        for name in ("norm", "activation", "biases", "final_norm", "embedding_norm"):
            del config["model"][name], config["training"][name]
        for name in ("warmup", "clip_grad_norm", "ema", "order"):
            del config["training"][name]
        config["sha256"] = _sha256(config)

    edit(path, forget)
    found = load_run(path).model
    assert found.config["norm"] == "layer"
    assert all(torch.equal(value, kept[name]) for name, value in found.state_dict().items())
