"""The floor, against figures worked out by hand, and the rates of this machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from namegen_bench.measuring import bandwidth, rates
from namegen_bench.measuring.floor import Rates, Work
from namegen_bench.measuring.rates import measure_rates

MIB = bandwidth.MIB


def test_the_floor_is_the_longer_of_computing_and_moving() -> None:
    machine = Rates(1e9, {100: 50.0, 1000: 10.0})
    assert machine.floor_seconds(Work(3e9)) == 3.0
    assert machine.floor_seconds(Work(0.0, 2000)) == 200.0
    assert machine.floor_seconds(Work(300e9, 2000)) == 300.0


def test_bytes_move_at_the_rate_of_the_cache_that_holds_them() -> None:
    machine = Rates(1e9, {100: 50.0, 1000: 10.0})
    assert machine.floor_seconds(Work(0.0, 999)) == 999 / 50  # the next larger set would be slower
    assert machine.floor_seconds(Work(0.0, 1000)) == 100.0
    assert machine.floor_seconds(Work(7e9, 99)) == 7.0  # nearer than anything that was measured
    assert machine.bytes_per_second == 10.0


def test_the_line_says_what_was_found() -> None:
    text = str(Rates(1.23e11, {1: 5e10, 2: 6.54e9}, 2600.0))
    assert "123 GFLOP/s" in text
    assert "6.5 GB/s" in text
    assert "2,600 MHz" in text
    assert "clock unknown" in str(Rates(1e9, {1: 1.0}))


def test_the_rates_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_SMALLER_SETS", (2 * MIB,))
    monkeypatch.setattr(bandwidth, "largest_set", lambda: 8 * MIB)
    rates._bandwidths.cache_clear()
    before = torch.get_num_threads()
    try:
        found = measure_rates(before + 1)
    finally:
        rates._bandwidths.cache_clear()  # so that other tests do not get the rates of these sets
    assert torch.get_num_threads() == before
    assert list(found.bandwidths) == [2 * MIB, 8 * MIB]
    # From a small board, on which others work meanwhile, to the fastest memory there is.
    assert all(1e6 < rate < 1e14 for rate in found.bandwidths.values())
    assert found.clock_mhz is None or 10 < found.clock_mhz < 20_000


def test_bytes_over_the_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only additions move: 3 s each, but one of 2 s."""
    now, additions = 0.0, 0

    def add(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> None:
        nonlocal now, additions
        assert len(a) == len(b) == len(out) == 100
        additions += 1
        now += 2.0 if additions == 3 else 3.0

    monkeypatch.setattr(torch, "add", add)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    assert bandwidth.bandwidth(1200) == 1200 / 2.0
    assert additions >= 4


def test_the_largest_set_is_beyond_the_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    for cache, largest in ((2**20, 192 * MIB), (100 * MIB, 400 * MIB), (2**40, 768 * MIB)):
        monkeypatch.setattr(bandwidth, "cache_bytes", lambda cache=cache: cache)
        assert bandwidth.largest_set() == largest
    assert bandwidth._bytes("491520K") == 480 * MIB
    assert bandwidth._bytes("64") == 64


def test_a_system_that_does_not_tell_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, **options: "cpu MHz : 1000.0\ncpu MHz\t: 3000.0\n")
    assert rates.clock_mhz() == 2000.0
    monkeypatch.setattr(Path, "read_text", lambda self, **options: "processor : 0\n")
    assert rates.clock_mhz() is None

    def fail(self: Path, **options: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", fail)
    assert rates.clock_mhz() is None
