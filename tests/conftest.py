"""What all tests share: the --long option, threads, and the names data set."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hypothesis
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

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
    """The file with the 32,033 names: $NAMEGEN_NAMES, else ../shared/data/names.txt beside the repository."""
    path = Path(os.environ.get("NAMEGEN_NAMES") or ROOT.parent / "shared" / "data" / "names.txt")
    if not path.is_file():
        pytest.skip(f"the names data set is not at {path}: set NAMEGEN_NAMES to the path of names.txt")
    return path
