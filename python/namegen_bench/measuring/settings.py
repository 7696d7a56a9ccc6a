"""How long and how often everything is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How a comparison is measured.

    Attributes:
        rounds: the most samples of each peer.
        min_rounds: the fewest samples of each peer, however long they take.
        sample_seconds: a sample takes at least this long; the call is repeated until it does.
        warm_up_seconds: each peer runs this long, and at least once, before the first sample.
        budget_seconds: no new round of a comparison begins after this many seconds.
        quick: only a few small cases, and no peer that has to be compiled first.
        data: the word list of the suite time-to-loss, as ``namegen_ext.train --data`` takes it; None for census.

    """

    rounds: int = 15
    min_rounds: int = 3
    sample_seconds: float = 0.01
    warm_up_seconds: float = 0.05
    budget_seconds: float = 1.6
    quick: bool = False
    data: str | None = None


# With these settings all default suites together take about ten minutes on two cores. A third of that is compiling.
FULL = Settings()
# A quick run shows that everything works. Its times are no measurement.
QUICK = Settings(
    rounds=3, min_rounds=2, sample_seconds=0.001, warm_up_seconds=0.002, budget_seconds=0.5, quick=True
)
