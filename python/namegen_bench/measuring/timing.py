"""Taking the time of several peers: interleaved samples, medians with quartiles.

The peers take turns, with one sample each in a round, so that a machine that slows down or is shared slows all of
them alike. Each round begins with another peer. A speedup is found in each round, from neighbouring samples; its
quartiles are those over all rounds. The garbage collector is off meanwhile.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from namegen_bench.measuring.settings import Settings

Key = TypeVar("Key", bound=Hashable)

# Does its work as many times as it is asked to.
Sampler = Callable[[int], object]
# Takes a sampler and a number of times; returns how many seconds the sampler took for that many.
Clock = Callable[[Sampler, int], float]


@dataclass(frozen=True)
class Quartiles:
    """The quartiles of a set of numbers."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, values: tuple[float, ...]) -> Quartiles:
        """Return the quartiles of at least one number."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))

    def scaled(self, factor: float) -> Quartiles:
        """Return the quartiles of the numbers multiplied by a factor above 0."""
        return Quartiles(self.lower * factor, self.median * factor, self.upper * factor)


@dataclass(frozen=True)
class Timing:
    """The samples of one peer.

    Attributes:
        samples: seconds per call, one value for each round.
        calls: how many calls one sample consists of.
        warm_up_seconds: how long the peer ran before the first sample, including the search for the number of calls;
            None where that was not recorded.

    """

    samples: tuple[float, ...]
    calls: int
    warm_up_seconds: float | None = None

    @property
    def seconds(self) -> Quartiles:
        """Seconds per call."""
        return Quartiles.of(self.samples)

    def speedup_over(self, baseline: Timing) -> Quartiles:
        """Return how many times as fast as the baseline this peer is, round by round.

        Args:
            baseline: the timing of another peer of the same comparison.

        """
        pairs = zip(baseline.samples, self.samples, strict=True)
        return Quartiles.of(tuple(other / own for other, own in pairs))


def measure(
    samplers: Mapping[Key, Sampler], settings: Settings, clock: Clock | None = None
) -> dict[Key, Timing]:
    """Measure peers against each other.

    Args:
        samplers: the work of each peer, by its name or another key.
        settings: how long and how often each is measured.
        clock: takes the time; None for the process's own clock.

    Returns:
        The timing of each peer. All have the same number of rounds.

    """
    clock = clock or _elapsed
    with no_garbage_collection():
        calls: dict[Key, int] = {}
        warm_up: dict[Key, float] = {}
        for name, sampler in samplers.items():
            began = time.perf_counter()
            _warm_up(sampler, settings.warm_up_seconds)
            calls[name] = calls_per_sample(sampler, settings.sample_seconds, clock)
            warm_up[name] = time.perf_counter() - began
        samples: dict[Key, list[float]] = {name: [] for name in samplers}
        names = list(samplers)
        began = time.perf_counter()
        for round_number in range(settings.rounds):
            first = round_number % len(names)
            for name in names[first:] + names[:first]:
                samples[name].append(clock(samplers[name], calls[name]) / calls[name])
            enough = round_number + 1 >= settings.min_rounds
            if enough and time.perf_counter() - began > settings.budget_seconds:
                break
    return {name: Timing(tuple(samples[name]), calls[name], warm_up[name]) for name in names}


def calls_per_sample(sampler: Sampler, sample_seconds: float, clock: Clock | None = None) -> int:
    """Find how many calls take at least ``sample_seconds``."""
    clock = clock or _elapsed
    calls = 1
    while True:
        elapsed = clock(sampler, calls)
        if elapsed >= sample_seconds:
            return calls
        # Take a tenth more than should be enough, but at most ten times as many, because a first call may mislead.
        wanted = math.ceil(1.1 * calls * sample_seconds / max(elapsed, 1e-9))
        calls = max(calls + 1, min(wanted, 10 * calls))


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect the garbage once, then keep the collector off in the block."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _warm_up(sampler: Sampler, seconds: float) -> None:
    until = time.perf_counter() + seconds
    sampler(1)
    while time.perf_counter() < until:
        sampler(1)


def _elapsed(sampler: Sampler, calls: int) -> float:
    began = time.perf_counter()
    sampler(calls)
    return time.perf_counter() - began
