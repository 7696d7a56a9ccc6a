"""What all tests share: the --long option, threads, and the names data set."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

from namegen_ext.training import TrainOptions

# The same examples on every run; nothing is kept on disk. --long draws new and more ones. A machine that is busy with
# something else must not fail a test, so hypothesis does not judge how long drawing takes.
_ANY_SPEED = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("default", derandomize=True, database=None, **_ANY_SPEED)
hypothesis.settings.register_profile(
    "long", derandomize=False, database=None, max_examples=400, print_blob=True, **_ANY_SPEED
)
hypothesis.settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the exhaustive and slow tests")


def pytest_configure(config: pytest.Config) -> None:
    # A process that a shell started in the background ignores SIGINT, and so do its children: tests send it.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--long"):
        hypothesis.settings.load_profile("long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="exhaustive or slow: runs with --long")
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(skip)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def threads() -> Callable[[int], AbstractContextManager[None]]:
    """A context manager that sets torch's number of threads and puts it back."""
    return _threads


@pytest.fixture(scope="session")
def names_file() -> Path:
    """The file with the 32,033 names, from $NAMEGEN_NAMES."""
    path = os.environ.get("NAMEGEN_NAMES")
    if not path:
        pytest.skip("needs the makemore project's names.txt: set NAMEGEN_NAMES to its path")
    if not Path(path).is_file():
        pytest.fail(f"NAMEGEN_NAMES is {path!r}, where there is no file")
    return Path(path)


@pytest.fixture(scope="session")
def words() -> list[str]:
    """300 words of two or three syllables, some of them twice."""
    draw = random.Random(0)
    syllables = [consonant + vowel for consonant in "bdklmnrst" for vowel in "aeio"]
    return ["".join(draw.choices(syllables, k=draw.choice((2, 3)))) for _ in range(300)]


@pytest.fixture(scope="session")
def small_options() -> Callable[..., TrainOptions]:
    """Options of a small model and a short run; what is given takes precedence."""

    def build(**options: Any) -> TrainOptions:
        small: dict[str, Any] = {"hidden_size": 16, "embedding_dim": 4, "batch_size": 8, "steps": 40}
        return TrainOptions(**{**small, **options})

    return build


@pytest.fixture(scope="session")
def seeded() -> Callable[[int], torch.Generator]:
    """Make a generator from a seed."""
    return lambda seed: torch.Generator().manual_seed(seed)
