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


@pytest.mark.parametrize(("switch_at", "first"), [(0.0, 0), (0.5, 100_000), (0.75, 150_000), (1.0, 200_000)])
def test_two_step_drops_where_told(switch_at: float, first: int) -> None:
    schedule = Schedule("two-step", 0.1, 0.01, 200_000, switch_at)
    assert schedule.switch_step == first
    assert all(schedule(step) == (0.1 if step < first else 0.01) for step in range(0, 200_000, 1000))
    assert first in (0, 200_000) or (schedule(first - 1), schedule(first)) == (0.1, 0.01)


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
    with pytest.raises(ValueError, match="one of constant, two-step, linear, cosine, but got 'steep'"):
        Schedule("steep", 0.1, 0.0, 10)


def test_linear_would_reach_the_final_rate_behind_the_last_step() -> None:
    schedule = Schedule("linear", 0.01, 0.0, 1000)
    assert [schedule(step) for step in (0, 500, 999)] == pytest.approx([0.01, 0.005, 0.00001], rel=1e-12)
    assert Schedule("linear", 0.3, 0.1, 4)(2) == pytest.approx(0.2, rel=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup_rises_to_the_first_rate_where_the_schedule_begins(name: str) -> None:
    schedule, plain = Schedule(name, 0.5, 0.1, 14, warmup=4), Schedule(name, 0.5, 0.1, 10)
    assert [schedule(step) for step in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4], rel=1e-12)
    if name == "two-step":  # its switch is a share of all steps
        assert [schedule(step) for step in range(4, 14)] == [0.5] * 3 + [0.1] * 7
    else:
        assert [schedule(step) for step in range(4, 14)] == [plain(step) for step in range(10)]
