"""Checkpoints: what they keep, how many, and damaged, missing and foreign ones, each told in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from namegen_ext.options.checkpoint_interval import CheckpointInterval
from namegen_ext.runs.checkpoint import newest_checkpoint
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.tensor_file import read_tensors, write_tensors
from namegen_ext.training import RunError, Trainer, TrainOptions


@pytest.fixture(scope="module")
def saved(
    words: list[str], small_options: Callable[..., TrainOptions], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("saved") / "run"
    options = small_options(optimizer="adamw", learning_rate=0.01)
    Trainer(words, options, checkpoint_every=CheckpointInterval(steps=10)).run(RunDirectory.create(path))
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


def change(path: Path, changed: Callable[[dict[str, Tensor], dict[str, Any]], None]) -> None:
    """Change a checkpoint, with a checksum that fits."""
    tensors, metadata = read_tensors(path)
    changed(tensors, metadata)
    write_tensors(path, tensors, metadata)


def only_checkpoint(directory: RunDirectory) -> Path:
    older, newest = directory.saved_checkpoints()
    older.unlink()
    return newest


def test_the_last_two_are_kept(directory: RunDirectory) -> None:
    names = [path.name for path in directory.saved_checkpoints()]
    assert names == ["step-000000030.safetensors", "step-000000040.safetensors"]


def test_the_newest_is_restored(trainer: Trainer, directory: RunDirectory) -> None:
    assert trainer.restore(directory, warn=pytest.fail) == 40


def test_without_any_the_run_begins_anew(trainer: Trainer, directory: RunDirectory) -> None:
    shutil.rmtree(directory.checkpoints)
    assert trainer.restore(directory, warn=pytest.fail) == 0
    assert directory.metrics.read_bytes() == b""


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "zeros": lambda content: b"\x00" * 4,
    "other": lambda content: b"not what it was",
    "ones": lambda content: b"\xff" * 4000,
    "cut": lambda content: content[:-7],
    "longer": lambda content: content + b"\x00",
    "a bit of the header": lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:],
    "a bit of the tensors": lambda content: content[:-9] + bytes([content[-9] ^ 16]) + content[-8:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_is_passed_over_with_a_warning(
    trainer: Trainer, directory: RunDirectory, damage: str
) -> None:
    newest = directory.saved_checkpoints()[-1]
    newest.write_bytes(DAMAGE[damage](newest.read_bytes()))
    warnings: list[str] = []
    assert trainer.restore(directory, warn=warnings.append) == 30
    (warning,) = warnings
    assert str(newest) in warning
    assert "going on from step-000000030.safetensors" in warning


def test_a_damaged_newest_is_set_aside_and_counts_no_more(
    words: list[str], small_options: Callable[..., TrainOptions], directory: RunDirectory
) -> None:
    newest = directory.saved_checkpoints()[-1]
    newest.write_bytes(b"damaged")
    options = small_options(optimizer="adamw", learning_rate=0.01, steps=40)
    trainer = Trainer(words, options, checkpoint_every=CheckpointInterval(steps=3))
    trainer.should_stop = lambda: trainer._loop.step >= 33
    assert trainer.restore(directory) == 30
    assert trainer.run(directory).interrupted
    assert [path.name for path in directory.saved_checkpoints()] == [
        "step-000000030.safetensors",
        "step-000000033.safetensors",
    ]
    assert newest.with_suffix(".damaged").read_bytes() == b"damaged"


def test_checkpoints_are_ordered_by_their_numbers(directory: RunDirectory) -> None:
    last = directory.checkpoint(1_000_000_000)
    last.write_bytes(b"")
    assert directory.saved_checkpoints()[-1] == last


def test_when_all_are_damaged_each_is_named(trainer: Trainer, directory: RunDirectory) -> None:
    for path in directory.saved_checkpoints():
        path.write_bytes(path.read_bytes()[:-1])
    message = error_of(trainer, directory)
    assert message.startswith("no checkpoint can be read: ")
    assert all(path.name in message for path in directory.saved_checkpoints())


def test_leftovers_of_a_kill_are_removed(trainer: Trainer, directory: RunDirectory) -> None:
    leftovers = [
        directory.checkpoints / ".step-000000050.safetensors.123.tmp",
        directory.path / ".config.json.123.tmp",
    ]
    for path in leftovers:
        path.write_bytes(b"half a")
    trainer.restore(directory)
    assert not any(path.exists() for path in leftovers)


def test_a_newer_format(trainer: Trainer, directory: RunDirectory) -> None:
    change(only_checkpoint(directory), lambda tensors, metadata: metadata.update(format=2))
    assert "format is 2, expected 1 (a newer version wrote it)" in error_of(trainer, directory)


def test_a_checkpoint_of_another_run(trainer: Trainer, directory: RunDirectory) -> None:
    config = {"training": {"seed": 1}}
    change(only_checkpoint(directory), lambda tensors, metadata: metadata.update(config=config))
    assert "is of another run than" in error_of(trainer, directory)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            (key, value)
            for key in ("step", "train_seconds", "metrics_bytes")
            for value in (None, [], "x", -1, True)
        ),
        *((key, value) for key in ("step", "metrics_bytes") for value in (1.5, 2**63, 10**400)),
        *(("train_seconds", value) for value in (float("nan"), float("inf"), 10**400)),
        *(("backend", value) for value in (None, 3)),
        *(("config", value) for value in (None, "x", 3, [["training", 1]])),
        *(("format", value) for value in (None, "x", 0)),
    ],
)
def test_metadata_that_cannot_be(trainer: Trainer, directory: RunDirectory, key: str, value: object) -> None:
    change(only_checkpoint(directory), lambda tensors, metadata: metadata.update({key: value}))
    assert "step-000000040.safetensors" in error_of(trainer, directory)


def test_a_tensor_of_another_shape(trainer: Trainer, directory: RunDirectory) -> None:
    change(
        only_checkpoint(directory),
        lambda tensors, metadata: tensors.update({"model.net.0.weight": torch.zeros(2, 2)}),
    )
    assert "net.0.weight: got float32 (2, 2), expected float32 (" in error_of(trainer, directory)


def test_a_tensor_of_another_dtype(trainer: Trainer, directory: RunDirectory) -> None:
    def widen(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        tensors["model.net.0.weight"] = tensors["model.net.0.weight"].double()

    change(only_checkpoint(directory), widen)
    assert "net.0.weight: got float64 (" in error_of(trainer, directory)


@pytest.mark.parametrize("extra", [True, False])
def test_a_tensor_too_many_or_too_few(trainer: Trainer, directory: RunDirectory, extra: bool) -> None:
    def add_or_remove(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        if extra:
            tensors["model.net.9.weight"] = torch.zeros(2)
        else:
            del tensors["model.net.0.weight"]

    change(only_checkpoint(directory), add_or_remove)
    assert ("net.9.weight" if extra else "net.0.weight") in error_of(trainer, directory)


def test_an_optimizer_of_another_model(trainer: Trainer, directory: RunDirectory) -> None:
    change(
        only_checkpoint(directory),
        lambda tensors, metadata: tensors.update({"optimizer.elsewhere.weight.exp_avg": torch.zeros(2)}),
    )
    assert "the model has no parameter 'elsewhere.weight'" in error_of(trainer, directory)


def test_an_optimizer_state_of_another_shape(trainer: Trainer, directory: RunDirectory) -> None:
    change(
        only_checkpoint(directory),
        lambda tensors, metadata: tensors.update({"optimizer.net.0.weight.exp_avg": torch.zeros(2)}),
    )
    assert "net.0.weight.exp_avg: got float32 (2,), expected float32 (" in error_of(trainer, directory)


ADAMW_TENSORS: dict[str, tuple[str, Callable[[Tensor], Tensor | None], str]] = {
    "another entry": (
        "optimizer.net.0.weight.momentum_buffer",
        lambda _: torch.zeros(2),
        "AdamW keeps exp_avg",
    ),
    "an entry too few": (
        "optimizer.net.0.weight.exp_avg_sq",
        lambda _: None,
        "exp_avg_sq: got nothing, expected it",
    ),
    "another dtype": ("optimizer.net.0.weight.exp_avg", Tensor.double, "got float64 ("),
    "no number of steps": (
        "optimizer.net.0.weight.step",
        lambda _: torch.tensor(torch.nan),
        "got nan, expected a",
    ),
    "fewer updates": (
        "optimizer.net.0.weight.step",
        lambda step: step - 1,
        "different numbers of updates: [39.0, 40.0]",
    ),
    "losses of another dtype": ("losses", Tensor.double, "losses is float64 ("),
    "losses in a table": ("losses", lambda losses: losses[None], "expected float32 (n,)"),
    "no losses": ("losses", lambda _: None, "losses is nothing"),
    "a generator's state cut": ("generator.cpu", lambda state: state[:-1], "generator cpu: "),
    "a generator's state of zeros": (
        "generator.cpu",
        lambda state: torch.zeros_like(state),
        "generator cpu: ",
    ),
    "a generator's state of floats": ("generator.cpu", Tensor.float, "generator cpu: got float32 ("),
    "a generator of something else": (
        "generator.tpu",
        lambda _: torch.zeros(2),
        "expected cpu or cuda:NUMBER",
    ),
}


@pytest.mark.parametrize("what", ADAMW_TENSORS)
def test_tensors_that_cannot_be(trainer: Trainer, directory: RunDirectory, what: str) -> None:
    name, changed, said = ADAMW_TENSORS[what]

    def replace(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        tensor = changed(tensors.pop(name, torch.empty(0)))
        if tensor is not None:
            tensors[name] = tensor

    change(only_checkpoint(directory), replace)
    assert said in error_of(trainer, directory)


def test_what_cannot_be_taken_up_changes_nothing(trainer: Trainer, directory: RunDirectory) -> None:
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    change(
        only_checkpoint(directory),
        lambda tensors, metadata: tensors.update({"optimizer.net.0.weight.exp_avg": torch.zeros(2)}),
    )
    error_of(trainer, directory)
    assert all(torch.equal(before[name], tensor) for name, tensor in trainer.model.state_dict().items())


def test_the_checkpoint_holds_all_that_is_promised(directory: RunDirectory) -> None:
    checkpoint = newest_checkpoint(directory, warn=pytest.fail)
    assert checkpoint is not None
    assert checkpoint.state.step == 40
    assert checkpoint.state.metrics_bytes > 0
    assert set(checkpoint.generators) >= {"cpu"}
    names = {name.rpartition(".")[0] for name in checkpoint.optimizer}
    assert names <= set(checkpoint.model)
    assert {name.rpartition(".")[2] for name in checkpoint.optimizer} == {"step", "exp_avg", "exp_avg_sq"}


def test_nothing_is_pickled(saved: Path) -> None:
    for path in saved.rglob("*"):
        if path.is_dir() or path.name == ".lock":
            continue
        content = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            content.decode("utf-8")
        else:
            assert path.suffix == ".safetensors"
            safetensors.torch.load(content)
