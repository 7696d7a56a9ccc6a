"""What the tests of the benchmarks share: one thread, and a made-up comparison, whose numbers are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from namegen_bench.measuring.comparison import Comparison, Measured
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.machine import Machine
from namegen_bench.measuring.timing import Quartiles, Timing
from namegen_bench.reporting.results import Key, Result


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
                Timing((2e-4, 3e-4, 2.5e-4), 50, warm_up_seconds=0.5),
                peak_allocated=2000,
                share_of_floor=0.25,
                rates=Rates(2e11, {2**20: 4e10, 2**30: 1e10}, 2600.0),
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


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """Make a result, whose time is given in microseconds, with quartiles 2% to either side."""

    def make(peer: str = "stock", micros: float = 100.0, **changed: Any) -> Result:
        key = Key("train", "mlp", peer, "step", 32, "V=27 H=200", 1, "avx2", "Made Up CPU")
        own = {name: changed.pop(name) for name in list(changed) if name in Key._fields}
        seconds = Quartiles(0.98e-6 * micros, 1e-6 * micros, 1.02e-6 * micros)
        known = {"versions": "torch 2.13.0", "commit": "abc1234", "date": "2026-01-02T03:04:05+00:00"}
        return replace(Result(key._replace(**own), seconds, **known), **changed)

    return make


@pytest.fixture
def results(make_result: Callable[..., Result]) -> list[Result]:
    """A made-up run of all suites that has something for every chart."""
    found = []
    for peer, factor in (("stock", 1.0), ("torch.compile", 1.3), ("fused-layers", 0.7), ("fused-step", 0.2)):
        for threads in (1, 2):
            for batch in (32, 1024):
                micros = factor * (100 + batch) / threads
                found.append(make_result(peer, micros, batch=batch, threads=threads))
                scaling = {
                    "suite": "scaling",
                    "batch": batch,
                    "threads": threads,
                    "peak_resident": 1e6 * batch,
                }
                found.append(make_result(peer, micros, **scaling))
                found.append(make_result(peer, 2 * micros, sizes="V=27 H=512", **scaling))
        found.append(make_result(peer, 900 * factor, case="gpt", sizes="V=27 block=16"))
        found.append(make_result(peer, 3e6 * factor, suite="time-to-loss", mode="process"))
        found.append(make_result(peer, 9 * factor, suite="sample", mode="name", batch=100_000))
    for peer, factor in (("stock", 1.0), ("fused-layers", 0.7), ("fused-op", 1.1)):
        for suite, gpu in (("ops", ""), ("gpu", "Made Up GPU")):
            for batch in (1, 32, 65536):
                both = {"suite": suite, "gpu": gpu, "case": "batch_norm", "mode": "forward+backward"}
                memory = None if peer == "fused-op" else 4000.0 * batch
                found.append(
                    make_result(peer, factor * (50 + batch), batch=batch, peak_allocated=memory, **both)
                )
    return found
