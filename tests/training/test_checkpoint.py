"""Damaged, missing and mismatched checkpoint files, each told in one line that names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from namegen_ext.training import RunError, Trainer, TrainOptions
from namegen_ext.training.run_directory import RunDirectory

FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


@pytest.fixture(scope="module")
def saved(
    words: list[str], small_options: Callable[..., TrainOptions], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("saved") / "run"
    Trainer(words, small_options(optimizer="adamw", learning_rate=0.01)).run(RunDirectory.create(path))
    return path


@pytest.fixture
def directory(saved: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(Path(shutil.copytree(saved, tmp_path / "run")))


@pytest.fixture
def trainer(words: list[str], small_options: Callable[..., TrainOptions]) -> Trainer:
    return Trainer(words, small_options(optimizer="adamw", learning_rate=0.01, steps=80))


def error_of(trainer: Trainer, directory: RunDirectory) -> str:
    with pytest.raises(RunError) as caught:
        trainer.restore(directory)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sound_one_is_restored(trainer: Trainer, directory: RunDirectory) -> None:
    assert trainer.restore(directory) == 40


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(trainer: Trainer, directory: RunDirectory, name: str) -> None:
    (directory.path / name).unlink()
    assert f"{name}: there is no such file" in error_of(trainer, directory)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"\x00" * 4, b"{}", b"not what it was", b"\xff" * 4000])
def test_a_damaged_file(trainer: Trainer, directory: RunDirectory, name: str, content: bytes) -> None:
    (directory.path / name).write_bytes(content)
    assert name in error_of(trainer, directory)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_short(trainer: Trainer, directory: RunDirectory, name: str) -> None:
    path = directory.path / name
    path.write_bytes(path.read_bytes()[:-7])
    assert name in error_of(trainer, directory)


@pytest.mark.parametrize("name", FILES)
def test_files_of_different_steps(trainer: Trainer, directory: RunDirectory, name: str) -> None:
    path = directory.path / name
    if name == "state.json":
        path.write_text(json.dumps({**json.loads(path.read_text()), "step": 39}))
    else:
        path.write_bytes(safetensors.torch.save(safetensors.torch.load_file(path), {"step": "39"}))
    message = error_of(trainer, directory)
    assert "39" in message
    assert "40" in message


def test_a_tensor_of_another_shape(trainer: Trainer, directory: RunDirectory) -> None:
    tensors = safetensors.torch.load_file(directory.model)
    tensors["net.0.weight"] = torch.zeros(2, 2)
    directory.model.write_bytes(safetensors.torch.save(tensors, {"step": "40"}))
    assert "net.0.weight: got (2, 2), expected (" in error_of(trainer, directory)


@pytest.mark.parametrize("extra", [True, False])
def test_a_tensor_too_many_or_too_few(trainer: Trainer, directory: RunDirectory, extra: bool) -> None:
    tensors = safetensors.torch.load_file(directory.model)
    if extra:
        tensors["net.9.weight"] = torch.zeros(2)
    else:
        del tensors["net.0.weight"]
    directory.model.write_bytes(safetensors.torch.save(tensors, {"step": "40"}))
    assert ("net.9.weight" if extra else "net.0.weight") in error_of(trainer, directory)


def test_an_optimizer_of_another_model(trainer: Trainer, directory: RunDirectory) -> None:
    tensors = {"elsewhere.weight.exp_avg": torch.zeros(2)}
    directory.optimizer.write_bytes(safetensors.torch.save(tensors, {"step": "40"}))
    assert "the model has no parameter 'elsewhere.weight'" in error_of(trainer, directory)


def test_nothing_is_pickled(saved: Path) -> None:
    for path in saved.iterdir():
        content = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            content.decode("utf-8")
        else:
            assert path.suffix == ".safetensors"
            safetensors.torch.load(content)
