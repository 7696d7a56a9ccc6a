"""Learning-rate schedules: pure functions of the step, so that a run can be resumed anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

SCHEDULES = ("constant", "two-step", "cosine")


@dataclass(frozen=True)
class Schedule:
    """The learning rate of each step of a run.

    Attributes:
        name: "constant": ``learning_rate`` throughout. "two-step": ``learning_rate`` at first, and
            ``final_learning_rate`` after the share ``switch_at`` of the steps. "cosine": half a cosine from
            ``learning_rate`` at step 0 down to ``final_learning_rate`` at the last step.
        learning_rate: the first rate.
        final_learning_rate: the last rate; "constant" does not use it.
        steps: number of steps of the whole run.
        switch_at: where "two-step" changes, as a share of the steps.

    Raises:
        ValueError: ``name`` is not one of :data:`SCHEDULES`.

    Source: Loshchilov and Hutter, "SGDR", 2017, for the cosine, which is taken without restarts.

    Example:
        >>> schedule = Schedule("cosine", learning_rate=0.2, final_learning_rate=0.0, steps=5)
        >>> [round(schedule(step), 3) for step in range(5)]
        [0.2, 0.171, 0.1, 0.029, 0.0]

    """

    name: str
    learning_rate: float
    final_learning_rate: float
    steps: int
    switch_at: float = 0.5

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, but got {self.name!r}")

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if self.name == "two-step":
            return self.learning_rate if step < self.switch_step else self.final_learning_rate
        if self.name == "cosine":
            progress = min(step / max(self.steps - 1, 1), 1.0)
            share = 0.5 * (1.0 + math.cos(math.pi * progress))
            return self.final_learning_rate + share * (self.learning_rate - self.final_learning_rate)
        return self.learning_rate

    @property
    def switch_step(self) -> int:
        """The first step, counted from 0, that "two-step" takes with the final rate."""
        return int(self.steps * self.switch_at)
