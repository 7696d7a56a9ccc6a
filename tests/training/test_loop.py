"""The loop, with a runner that only counts: which steps are run, what is told and when, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from namegen_ext.options import checkpoint_interval
from namegen_ext.options.checkpoint_interval import CheckpointInterval
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
        self.saved: list[int] = []
        self.steps: list[int] = []
        self.told: list[float] = []
        self.enough_at = -1

    def progress(self, step: int, loss: float, seconds: float) -> None:
        self.steps.append(step)
        self.told.append(loss)

    def log(self, step: int, loss: float, learning_rate: float) -> None:
        self.logged.append((step, loss, learning_rate))

    def milestone(self, step: int, seconds: float) -> bool:
        self.milestones.append(step)
        return step == self.enough_at

    def save(self, step: int, seconds: float) -> None:
        self.saved.append(step)


def loop(
    runner: Counting,
    notes: Notes,
    steps: int,
    *,
    log_every: int = 10,
    eval_every: int = 0,
    checkpoint_every: str = "0",
) -> TrainingLoop:
    return TrainingLoop(
        runner,
        MinibatchIndices(5, 100, 4),
        Schedule("cosine", 0.1, 0.0, steps),
        notes,
        log_every=log_every,
        eval_every=eval_every,
        checkpoint_every=CheckpointInterval.parse(checkpoint_every),
        should_stop=lambda: False,
    )


def test_every_step_is_run_once_with_its_indices_and_rate() -> None:
    runner = Counting()
    assert loop(runner, Notes(), 3000, log_every=700, eval_every=450).run()
    assert torch.equal(torch.cat(runner.indices), MinibatchIndices(5, 100, 4).steps(0, 3000))
    assert runner.rates == [Schedule("cosine", 0.1, 0.0, 3000)(step) for step in range(3000)]


def test_steps_are_run_many_at_a_time() -> None:
    runner = Counting()
    loop(runner, Notes(), 10_000, log_every=100).run()
    # Seven calls: the first step, then 8 steps and four times as many each time. More where the machine is busy, but
    # not one for each of the 101 lines of the log.
    assert runner.calls <= 20


def test_a_call_ends_at_each_log_line_where_the_model_is_looked_at() -> None:
    runner, notes = Counting(), Notes()
    looked = loop(runner, notes, 10_000, log_every=1000)
    looked.log_at_once = True
    looked.run()
    assert set(range(1000, 10_001, 1000)) <= set(notes.steps)
    apart = Notes()
    loop(Counting(), apart, 10_000, log_every=1000).run()
    assert notes.logged == apart.logged


def test_a_line_that_cannot_be_written_leaves_a_loop_that_can_be_saved() -> None:
    class Full(Notes):
        def log(self, step: int, loss: float, learning_rate: float) -> None:
            super().log(step, loss, learning_rate)
            if step == 20:
                raise OSError("full")

    runner = Counting()
    stopped = loop(runner, Full(), 1000)
    with pytest.raises(OSError, match="full"):
        stopped.run()
    assert stopped.step == len(runner.rates) > 20
    assert stopped.unlogged_losses.tolist() == [
        float(step) for step in range(stopped.step // 10 * 10, stopped.step)
    ]


def test_log_lines_hold_the_mean_since_the_one_before() -> None:
    notes = Notes()
    loop(Counting(), notes, 25).run()
    schedule = Schedule("cosine", 0.1, 0.0, 25)
    # Steps 0; 1 to 9; 10 to 19; and, as 20 to 24 are few, the last ten: 15 to 24. Their losses are their numbers.
    assert [(step, loss) for step, loss, _ in notes.logged] == [(1, 0.0), (10, 5.0), (20, 14.5), (25, 19.5)]
    assert [rate for _, _, rate in notes.logged] == [schedule(step - 1) for step in (1, 10, 20, 25)]


def test_milestones_come_at_their_steps_and_not_at_the_end() -> None:
    notes = Notes()
    loop(Counting(), notes, 60, eval_every=20).run()
    assert notes.milestones == [20, 40]


def test_the_last_steps_loss_is_no_single_minibatch() -> None:
    # 20,001 steps and a milestone at 20,000: the last chunk is one step, whose loss is far from all others.
    notes = Notes()
    loop(Counting(losses={20_000: -1e9}), notes, 20_001, log_every=100, eval_every=5000).run()
    expected = (sum(range(19_901, 20_000)) - 1e9) / 100
    assert notes.logged[-1][:2] == (20_001, pytest.approx(expected))
    assert notes.told[-1] == pytest.approx(expected)


def test_the_first_milestone_comes_after_halves_of_its_steps() -> None:
    notes = Notes()
    loop(Counting(), notes, 2001, eval_every=900).run()
    assert notes.milestones == [112, 225, 450, 900, 1800]
    assert notes.saved == [900, 1800]
    notes = Notes()
    loop(Counting(), notes, 700, eval_every=150).run()
    assert notes.milestones == [150, 300, 450, 600]


def test_a_milestone_may_say_that_it_is_enough() -> None:
    notes = Notes()
    notes.enough_at = 40
    runner = Counting()
    enough = loop(runner, notes, 100, eval_every=20)
    assert enough.run()
    assert enough.step == 40 == len(runner.rates)
    again = loop(Counting(first_step=40), Notes(), 100, eval_every=20)
    assert again.run(40, enough=True)
    assert again.step == 40


def test_resuming_runs_the_rest() -> None:
    runner, notes = Counting(first_step=33), Notes()
    assert loop(runner, notes, 50).run(33, 1.5)
    assert torch.equal(torch.cat(runner.indices), MinibatchIndices(5, 100, 4).steps(33, 50))
    assert [step for step, _, _ in notes.logged] == [40, 50]


def test_time_is_added_to_what_was_spent_before() -> None:
    resumed = loop(Counting(first_step=1), Notes(), 2)
    resumed.run(1, 1000.0)
    assert 1000.0 < resumed.seconds < 1010.0


def test_stopping_and_resuming_logs_what_is_logged_without() -> None:
    whole = Notes()
    loop(Counting(), whole, 10_000, log_every=700).run()
    notes = Notes()
    stopped = loop(Counting(), notes, 10_000, log_every=700)
    stopped.should_stop = lambda: stopped.step > 1000 and stopped.step % 700 != 0
    # A tenth of a second is all the steps to the next line for a runner like this; saving every 97 steps is not.
    stopped._timer.interval = CheckpointInterval(steps=97)
    assert not stopped.run()
    assert 1000 < stopped.step < 1400
    assert stopped.unlogged_losses.tolist() == [float(step) for step in range(700, stopped.step)]
    rest = loop(Counting(first_step=stopped.step), notes, 10_000, log_every=700)
    assert rest.run(stopped.step, stopped.seconds, stopped.unlogged_losses, stopped.recent_losses)
    assert notes.logged == whole.logged


def test_saving_by_steps_and_after_milestones_and_not_at_the_end() -> None:
    notes = Notes()
    loop(Counting(), notes, 60, eval_every=20, checkpoint_every="15").run()
    assert notes.saved == [15, 20, 30, 40, 45]


def test_saving_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))  # a second passes each time that it is looked at
    monkeypatch.setattr(checkpoint_interval.time, "monotonic", lambda: float(next(clock)))
    notes = Notes()
    loop(Counting(), notes, 100_000, checkpoint_every="3s").run()
    # Looked at when the loop is made, after each chunk, and when it was saved.
    assert set(notes.saved) <= set(notes.steps)
    assert len(notes.saved) >= 2


def test_never_saving() -> None:
    notes = Notes()
    loop(Counting(), notes, 100).run()
    assert notes.saved == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [0, 7, 123])
def test_a_loss_that_is_not_finite_ends_the_run(bad: float, step: int) -> None:
    notes = Notes()
    with pytest.raises(TrainingDivergedError, match=f"the loss at step {step + 1} is not finite") as caught:
        loop(Counting(losses={step: bad, step + 2: bad}), notes, 1000).run()
    assert caught.value.step == step + 1
    assert [logged for logged, _, _ in notes.logged] == [at for at in (1, *range(10, 1000, 10)) if at <= step]
