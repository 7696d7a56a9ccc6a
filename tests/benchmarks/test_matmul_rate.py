"""The rate of the machine: of a magnitude that a machine can have, and found from the best product."""

from __future__ import annotations

import time

import pytest
import torch

from namegen_ext.benchmarks import matmul_rate as module


def test_it_is_a_rate_that_a_machine_can_have() -> None:
    # From a small board to many cores with the widest vectors.
    assert 1e8 < module.matmul_rate() < 1e14


def test_operations_over_the_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only products move: 3 s each, but one of 2 s."""
    now, products = 0.0, 0

    def multiply(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> None:
        nonlocal now, products
        products += 1
        now += 2.0 if products == 10 else 3.0

    monkeypatch.setattr(torch, "mm", multiply)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    n = module._SIZE
    assert module.matmul_rate() == 2 * n * n * n / 2.0
