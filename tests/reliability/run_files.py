"""What is in a run directory, looked at without changing it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.tensor_file import read_tensors
from namegen_ext.training import load_run

_TIMES = ("train_seconds", "steps_per_second")


@dataclass(frozen=True)
class Found:
    """What a stopped process left.

    Attributes:
        saved: the step of the newest checkpoint; 0 for none.
        told: the last step in metrics.jsonl; 0 for none.
        half_written: names of files that were being written.

    """

    saved: int
    told: int
    half_written: tuple[str, ...]


def look(path: Path) -> Found:
    """Read every file of a run directory; one that cannot be read fails."""
    directory = RunDirectory(path)
    files = [file for file in path.rglob("*") if file.is_file()]
    half_written = tuple(sorted(file.name for file in files if file.suffix == ".tmp"))
    for file in files:
        if file.name.startswith("."):
            continue
        if file.suffix == ".safetensors":
            read_tensors(file)
        elif file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
    if directory.model.exists():
        load_run(path)
    saved = [read_tensors(file)[1]["step"] for file in directory.saved_checkpoints()]
    return Found(max(saved, default=0), last_told(directory), half_written)


def last_told(directory: RunDirectory) -> int:
    """Return the last step that metrics.jsonl tells of in a whole line."""
    if not directory.metrics.exists():
        return 0
    lines = directory.metrics.read_text(encoding="utf-8").split("\n")[:-1]
    return max((json.loads(line)["step"] for line in lines), default=0)


def assert_same_run(path: Path, expected: Path) -> None:
    """Fail unless two directories hold the same run, bit for bit, but for the times that it took."""
    names = [sorted(str(file.relative_to(run)) for file in run.rglob("*")) for run in (path, expected)]
    # How many older checkpoints there are depends on where a run was stopped.
    assert set(names[0]) == set(names[1]), names
    for name in ("config.json", "words.txt", "model.safetensors", "metrics.jsonl"):
        if name in names[1]:
            assert (path / name).read_bytes() == (expected / name).read_bytes(), name
    assert summary_of(path) == summary_of(expected)
    for name in names[1]:
        if name.startswith("checkpoints/"):
            _assert_same_tensors(path / name, expected / name)


def summary_of(path: Path) -> dict[str, Any]:
    """Return summary.json, less the times."""
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    return {key: value for key, value in summary.items() if key not in _TIMES}


def _assert_same_tensors(path: Path, expected: Path) -> None:
    (tensors, metadata), (wanted, wanted_metadata) = read_tensors(path), read_tensors(expected)
    assert tensors.keys() == wanted.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, wanted[name]), (path.name, name)
    for content in (metadata, wanted_metadata):
        del content["train_seconds"]
    assert metadata == wanted_metadata
