"""The rate of the machine: of a magnitude that a machine can have, above that of any product, from the best run."""

from __future__ import annotations

import time

import pytest
import torch

from namegen_bench.measuring import fma_rate as module
from namegen_ext._native.core import _core


def test_it_is_a_rate_that_a_machine_can_have() -> None:
    # From a small board to many cores with the widest vectors.
    assert 1e8 < module.fma_rate() < 1e14


def test_each_thread_makes_its_rounds() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = _core.multiply_adds(10)
        torch.set_num_threads(2)
        assert _core.multiply_adds(10) == 2 * one > 0
        assert _core.multiply_adds(0) == 0
    finally:
        torch.set_num_threads(threads)


def test_operations_over_the_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only the operations move: 3 s each run, but one of 2 s."""
    now, runs = 0.0, 0

    class Native:
        @staticmethod
        def multiply_adds(rounds: int) -> int:
            nonlocal now, runs
            runs += 1
            now += 2.0 if runs == 10 else 3.0
            return 24 * rounds

    monkeypatch.setattr(module, "_core", Native)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    assert module.fma_rate() == 24 * module._ROUNDS / 2.0
