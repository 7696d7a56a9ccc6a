"""Interleaved samples, and what is made of them."""

from __future__ import annotations

import gc
import time
from dataclasses import replace

import pytest

from namegen_bench.measuring.settings import FULL, Settings
from namegen_bench.measuring.timing import Quartiles, Timing, calls_per_sample, measure


class Clock:
    """A clock that moves only when a sampler says so: timings become exact."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.log: list[tuple[str, int]] = []
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def sampler(self, name: str, seconds: float):
        def sample(calls: int) -> None:
            self.now += seconds * calls
            self.log.append((name, calls))

        return sample


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_quartiles_of_known_numbers() -> None:
    assert Quartiles.of((5.0, 1.0, 3.0, 2.0, 4.0)) == Quartiles(2.0, 3.0, 4.0)
    assert Quartiles.of((7.0,)) == Quartiles(7.0, 7.0, 7.0)
    assert Quartiles(1.0, 2.0, 3.0).scaled(10) == Quartiles(10.0, 20.0, 30.0)


def test_the_speedup_pairs_the_samples_of_a_round() -> None:
    # The machine slows down threefold in the second round; the peer is twice as fast in both.
    stock = Timing((2.0, 6.0), calls=1)
    peer = Timing((1.0, 3.0), calls=1)
    assert peer.speedup_over(stock) == Quartiles(2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="shorter"):
        Timing((1.0,), calls=1).speedup_over(stock)


@pytest.mark.parametrize("seconds", [1e-7, 3e-5, 0.004, 0.0099, 0.01, 2.0])
def test_a_sample_lasts_long_enough_and_not_much_longer(clock: Clock, seconds: float) -> None:
    calls = calls_per_sample(clock.sampler("one", seconds), 0.01)
    assert calls >= 1
    assert calls * seconds >= 0.01
    # One more call than needed at least, a tenth more than estimated at most; growth is by whole calls.
    assert calls == 1 or calls * seconds <= 0.01 * 1.1 + 2 * seconds


def test_the_peers_take_turns_and_each_round_begins_with_another(clock: Clock) -> None:
    settings = replace(FULL, rounds=4, min_rounds=4, sample_seconds=0.01)
    samplers = {name: clock.sampler(name, 0.02) for name in "abc"}
    timings = measure(samplers, settings)
    order = "".join(name for name, _ in clock.log[-12:])
    assert order == "abcbcacababc"
    assert all(timing.calls == 1 for timing in timings.values())


def test_times_are_per_call(clock: Clock) -> None:
    timings = measure({"fast": clock.sampler("fast", 0.001), "slow": clock.sampler("slow", 0.004)}, FULL)
    assert timings["fast"].seconds.median == pytest.approx(0.001)
    assert timings["slow"].seconds.upper == pytest.approx(0.004)
    assert timings["fast"].speedup_over(timings["slow"]).median == pytest.approx(4)
    assert timings["fast"].calls >= 10 > timings["slow"].calls
    assert len(timings["fast"].samples) == len(timings["slow"].samples) == FULL.rounds


def test_the_budget_ends_a_comparison_after_the_least_number_of_rounds(clock: Clock) -> None:
    settings = Settings(rounds=50, min_rounds=5, budget_seconds=1.0)
    assert len(measure({"slow": clock.sampler("slow", 10.0)}, settings)["slow"].samples) == 5
    # 0.15 s a round: the budget is used up after the seventh.
    assert len(measure({"medium": clock.sampler("medium", 0.15)}, settings)["medium"].samples) == 7


def test_the_warm_up_is_reported_apart(clock: Clock) -> None:
    settings = replace(FULL, rounds=3, min_rounds=3, warm_up_seconds=0.05, sample_seconds=0.01)
    timing = measure({"one": clock.sampler("one", 0.02)}, settings)["one"]
    # Three calls until 0.05 s are over, and one that shows that one is enough.
    assert timing.warm_up_seconds == pytest.approx(4 * 0.02)
    assert timing.samples == pytest.approx((0.02, 0.02, 0.02))


def test_each_peer_warms_up_before_any_is_measured(clock: Clock) -> None:
    settings = replace(FULL, rounds=2, min_rounds=2, warm_up_seconds=0.05)
    measure({name: clock.sampler(name, 0.02) for name in "ab"}, settings)
    # Warm-up 0.05 s at 0.02 s a call, then one call that shows that one is enough.
    assert "".join(name for name, _ in clock.log) == "aaaabbbbabba"


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_off_meanwhile_and_then_as_before(enabled: bool) -> None:
    seen = []
    before = gc.isenabled()
    try:
        gc.enable() if enabled else gc.disable()
        settings = Settings(rounds=2, min_rounds=2, sample_seconds=0, warm_up_seconds=0)
        measure({"one": lambda calls: seen.append(gc.isenabled())}, settings)
        assert seen
        assert not any(seen)
        assert gc.isenabled() is enabled
        with pytest.raises(ZeroDivisionError):
            measure({"one": lambda calls: calls // 0}, settings)
        assert gc.isenabled() is enabled
    finally:
        gc.enable() if before else gc.disable()
