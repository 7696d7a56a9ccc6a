"""What the tests of faults share: words, a fork server, and the flags of small runs."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from fork_server import ForkServer
from memory_directory import memory_directory


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def word_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(1)
    path = tmp_path_factory.mktemp("words") / "made-up.txt"
    path.write_text("\n".join("".join(draw.choices("abcdeéß", k=draw.randint(2, 6))) for _ in range(200)))
    return path


@pytest.fixture(scope="session")
def small(word_file: Path) -> list[str]:
    """The flags of a run of a small model."""
    return ["--data", str(word_file), "--hidden-size", "8", "--embedding-dim", "3", "--samples", "5"]


@pytest.fixture(scope="session")
def server(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    scratch = tmp_path_factory.mktemp("warm")
    warm = [
        ["train", *small, "--steps", "2", *fused, "--out", str(scratch / f"run{number}")]
        for number, fused in enumerate(([], ["--fused=layers"], ["--fused=step"]))
    ]
    with ForkServer([*warm, ["sample", str(scratch / "run0"), "--seed", "1"]]) as started:
        yield started


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one."""
    with memory_directory(tmp_path) as path:
        yield path
