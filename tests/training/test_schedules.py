"""Learning-rate schedules at their ends, their middle, and between."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from namegen_ext.training import SCHEDULES, Schedule


def test_constant() -> None:
    assert {Schedule("constant", 0.1, 0.0, 10)(step) for step in range(10)} == {0.1}


def test_two_step_drops_at_half_way() -> None:
    rates = [Schedule("two-step", 0.08, 0.0006, 20_001)(step) for step in range(20_001)]
    assert rates == [0.08] * 10_000 + [0.0006] * 10_001


def test_cosine_ends_and_middle() -> None:
    schedule = Schedule("cosine", 0.1, 0.02, 101)
    assert schedule(0) == pytest.approx(0.1, rel=1e-12)
    assert schedule(50) == pytest.approx(0.06, rel=1e-12)
    assert schedule(25) == pytest.approx(0.06 + 0.04 * math.cos(math.pi / 4), rel=1e-12)
    assert schedule(100) == pytest.approx(0.02, rel=1e-12)


def test_cosine_never_rises() -> None:
    rates = [Schedule("cosine", 0.1, 0.0, 333)(step) for step in range(333)]
    assert all(later < earlier for earlier, later in pairwise(rates))


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_single_step_takes_a_rate(name: str) -> None:
    assert Schedule(name, 0.1, 0.01, 1)(0) in (0.1, 0.01)


def test_an_unknown_schedule_is_named() -> None:
    with pytest.raises(ValueError, match="one of constant, two-step, cosine, but got 'linear'"):
        Schedule("linear", 0.1, 0.0, 10)
