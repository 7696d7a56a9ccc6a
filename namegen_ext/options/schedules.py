"""Learning-rate schedules: pure functions of the step, so that a run can be resumed anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

SCHEDULES = ("constant", "two-step", "linear", "cosine")


@dataclass(frozen=True)
class Schedule:
    """The learning rate of each step of a run.

    Attributes:
        name: "constant": ``learning_rate`` throughout. "two-step": ``learning_rate`` at first, and
            ``final_learning_rate`` after the share ``switch_at`` of the steps. "linear": a straight line from
            ``learning_rate`` at step 0, which would reach ``final_learning_rate`` one step after the last. "cosine":
            half a cosine from ``learning_rate`` at step 0 down to ``final_learning_rate`` at the last step.
        learning_rate: the first rate.
        final_learning_rate: the last rate; "constant" does not use it.
        steps: number of steps of the whole run.
        switch_at: where "two-step" changes, as a share of the steps.
        warmup: in so many first steps the rate rises by even amounts, from ``learning_rate / (warmup + 1)`` at step 0
            to ``learning_rate`` at step ``warmup``, where "linear" and "cosine" begin.

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
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, but got {self.name!r}")

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / (self.warmup + 1)
        if self.name == "two-step":
            return self.learning_rate if step < self.switch_step else self.final_learning_rate
        if self.name == "constant":
            return self.learning_rate
        step, steps = step - self.warmup, self.steps - self.warmup
        if self.name == "linear":
            share = 1.0 - min(step / max(steps, 1), 1.0)
        else:
            share = 0.5 * (1.0 + math.cos(math.pi * min(step / max(steps - 1, 1), 1.0)))
        return self.final_learning_rate + share * (self.learning_rate - self.final_learning_rate)

    @property
    def switch_step(self) -> int:
        """The first step, counted from 0, that "two-step" takes with the final rate."""
        return int(self.steps * self.switch_at)
