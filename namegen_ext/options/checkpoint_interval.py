"""How often a run is saved: every so many steps, or every so many seconds."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from decimal import Decimal

_EXPECTED = "expected a whole number of steps, such as 500, or seconds, such as 30s"


@dataclass(frozen=True)
class CheckpointInterval:
    """The interval at which a run is saved.

    At most one of the two is given. Where none is, the run is not saved before its end.

    Attributes:
        steps: the run is saved every so many steps; with 0 it is not saved by steps.
        seconds: the run is saved when so many seconds have passed since the last time; with 0 it is not saved by time.

    """

    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> CheckpointInterval:
        """Read "500" as steps, "30s" as seconds, and "0" as never.

        Raises:
            ValueError: it is neither; the message says what came and what was expected.

        """
        if re.fullmatch(r"[0-9]{1,15}", text):
            return cls(steps=int(text))
        if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?s", text) and float(text[:-1]) > 0:
            return cls(seconds=float(text[:-1]))
        raise ValueError(f"got {text!r}, {_EXPECTED}")

    def __str__(self) -> str:
        return f"{Decimal(str(self.seconds)).normalize():f}s" if self.seconds else str(self.steps)


DEFAULT_INTERVAL = CheckpointInterval(seconds=30.0)


class CheckpointTimer:
    """Tells when a run is to be saved: when its interval has passed."""

    def __init__(self, interval: CheckpointInterval) -> None:
        self.interval = interval
        self._next_time = time.monotonic() + (interval.seconds or math.inf)

    def is_due(self, step: int) -> bool:
        """Tell whether the run is to be saved after so many steps."""
        if self.interval.steps:
            return step % self.interval.steps == 0
        return time.monotonic() >= self._next_time

    def saved(self) -> None:
        """Begin a new interval, because the run was just saved."""
        self._next_time = time.monotonic() + (self.interval.seconds or math.inf)

    def next_step(self, step: int) -> float:
        """Return the step at which the run is to be saved next; infinity where it is not saved by steps."""
        every = self.interval.steps
        return (step // every + 1) * every if every else math.inf
