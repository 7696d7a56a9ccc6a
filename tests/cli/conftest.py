"""Makes this folder's helper modules importable; threads as they were; words to train on."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def word_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 made-up words of two to six letters."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdeéß", k=draw.randint(2, 6))) for _ in range(200)]
    path = tmp_path_factory.mktemp("words") / "made-up.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, in which a command that is refused must leave nothing."""
    path = tmp_path / "work"
    path.mkdir()
    monkeypatch.chdir(path)
    return path
