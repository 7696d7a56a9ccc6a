"""The loop, with a runner that only counts: which steps are run, what is told and when, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from namegen_ext.training import MinibatchIndices, Schedule, TrainingDivergedError
from namegen_ext.training.loop import TrainingLoop


class Counting:
    """A runner whose loss at step s (from 0) is s, or what ``losses`` says."""

    def __init__(self, first_step: int = 0, losses: dict[int, float] | None = None) -> None:
        self.first_step = first_step
        self.losses = losses or {}
        self.indices: list[Tensor] = []
        self.rates: list[float] = []
        self.calls = 0

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        start = self.first_step + len(self.rates)
        self.calls += 1
        self.indices.append(indices)
        self.rates.extend(learning_rates)
        return torch.tensor(
            [self.losses.get(step, float(step)) for step in range(start, start + len(indices))]
        )


class Notes:
    """An observer that writes everything down."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, float, float]] = []
        self.milestones: list[int] = []
        self.steps: list[int] = []

    def progress(self, step: int, loss: float, seconds: float) -> None:
        self.steps.append(step)

    def log(self, step: int, loss: float, learning_rate: float) -> None:
        self.logged.append((step, loss, learning_rate))

    def milestone(self, step: int, seconds: float) -> None:
        self.milestones.append(step)


def loop(
    runner: Counting, notes: Notes, steps: int, *, log_every: int = 10, eval_every: int = 0
) -> TrainingLoop:
    return TrainingLoop(
        runner,
        MinibatchIndices(5, 100, 4),
        Schedule("cosine", 0.1, 0.0, steps),
        notes,
        log_every=log_every,
        eval_every=eval_every,
        should_stop=lambda: False,
    )


def test_every_step_is_run_once_with_its_indices_and_rate() -> None:
    runner = Counting()
    assert loop(runner, Notes(), 3000, log_every=700, eval_every=450).run()
    assert torch.equal(torch.cat(runner.indices), MinibatchIndices(5, 100, 4).steps(0, 3000))
    assert runner.rates == [Schedule("cosine", 0.1, 0.0, 3000)(step) for step in range(3000)]


def test_steps_are_run_many_at_a_time() -> None:
    runner = Counting()
    loop(runner, Notes(), 10_000, log_every=1000).run()
    # At least one call for the first step and for each of the log lines; a runner as fast as this is given
    # all the steps between two lines in one call, once the chunks have grown from 8 by factors of 4.
    assert 11 <= runner.calls <= 20


def test_log_lines_hold_the_mean_since_the_one_before() -> None:
    notes = Notes()
    loop(Counting(), notes, 25).run()
    schedule = Schedule("cosine", 0.1, 0.0, 25)
    # Steps 0; 1 to 9; 10 to 19; 20 to 24, whose losses are their numbers.
    assert [(step, loss) for step, loss, _ in notes.logged] == [(1, 0.0), (10, 5.0), (20, 14.5), (25, 22.0)]
    assert [rate for _, _, rate in notes.logged] == [schedule(step - 1) for step in (1, 10, 20, 25)]


def test_milestones_come_at_their_steps_and_not_at_the_end() -> None:
    notes = Notes()
    loop(Counting(), notes, 60, eval_every=20).run()
    assert notes.milestones == [20, 40]


def test_resuming_runs_the_rest() -> None:
    runner, notes = Counting(first_step=33), Notes()
    assert loop(runner, notes, 50).run(33, 1.5)
    assert torch.equal(torch.cat(runner.indices), MinibatchIndices(5, 100, 4).steps(33, 50))
    assert [step for step, _, _ in notes.logged] == [40, 50]


def test_time_is_added_to_what_was_spent_before() -> None:
    resumed = loop(Counting(first_step=1), Notes(), 2)
    resumed.run(1, 1000.0)
    assert 1000.0 < resumed.seconds < 1010.0


def test_stopping_logs_what_was_not_yet() -> None:
    runner, notes = Counting(), Notes()
    stopped = loop(runner, notes, 10_000, log_every=5000)
    stopped.should_stop = lambda: stopped.step > 100
    assert not stopped.run()
    assert 100 < stopped.step == len(runner.rates) < 10_000
    last_step, mean, _ = notes.logged[-1]
    assert last_step == stopped.step
    assert mean == pytest.approx(sum(range(1, stopped.step)) / (stopped.step - 1))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [0, 7, 123])
def test_a_loss_that_is_not_finite_ends_the_run(bad: float, step: int) -> None:
    notes = Notes()
    with pytest.raises(TrainingDivergedError, match=f"the loss at step {step + 1} is not finite") as caught:
        loop(Counting(losses={step: bad, step + 2: bad}), notes, 1000).run()
    assert caught.value.step == step + 1
    assert all(logged <= step for logged, _, _ in notes.logged)
