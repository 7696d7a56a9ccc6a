"""A short run over awkward symbols, looked into once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from namegen_ext.diagnostics import Diagnosis, diagnose
from namegen_ext.train import main as train
from namegen_ext.training import load_run


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def awkward_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory; the words have letters that mean something in HTML or mathtext, or that fonts lack."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcé<>&\"'$_\\中", k=draw.randint(2, 6))) for _ in range(100)]
    folder = tmp_path_factory.mktemp("plotting")
    (folder / "<b>&names.txt").write_text("\n".join(words), encoding="utf-8")
    arguments = ["--data", str(folder / "<b>&names.txt"), "--out", str(folder / "run"), "--threads", "1"]
    small = [
        "--steps",
        "30",
        "--log-every",
        "10",
        "--hidden-size",
        "8",
        "--embedding-dim",
        "3",
        "--record-updates",
    ]
    assert train([*arguments, *small]) == 0
    return folder / "run"


@pytest.fixture(scope="session")
def diagnosis(awkward_run: Path) -> Diagnosis:
    return diagnose(load_run(awkward_run), examples=64)
