"""What the tests of the benchmarks share: one thread, and a made-up comparison, whose numbers are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from namegen_ext.benchmarks.comparison import Comparison, Measured
from namegen_ext.benchmarks.machine import Machine
from namegen_ext.benchmarks.timing import Timing


@pytest.fixture(autouse=True)
def one_thread(threads: Callable[[int], AbstractContextManager[None]]) -> Iterator[None]:
    """As the command does by default; on a busy machine, more threads wait for each other."""
    with threads(1):
        yield


@pytest.fixture
def comparison() -> Comparison:
    return Comparison(
        suite="ops",
        case="batch_norm",
        mode="forward+backward",
        sizes="H=200",
        batch=1024,
        peers={
            "stock": Measured(Timing((4e-4, 6e-4, 5e-4), 20), peak_allocated=4000, peak_resident=900_000),
            "fused-layers": Measured(
                Timing((2e-4, 3e-4, 2.5e-4), 50), peak_allocated=2000, share_of_floor=0.25
            ),
        },
        target=2.5,
        notes=("nothing [to] see",),
    )


@pytest.fixture
def machine() -> Machine:
    return Machine(
        cpu='A "fast", CPU',
        cpus=2,
        threads=1,
        isa="avx2",
        versions="torch 2.13.0, Python 3.11.7",
        commit="abc1234",
        date="2026-01-02T03:04:05+00:00",
    )
