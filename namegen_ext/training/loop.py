"""The training loop: the same for every backend."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from namegen_ext.options.checkpoint_interval import CheckpointInterval, CheckpointTimer
from namegen_ext.options.schedules import Schedule
from namegen_ext.training.errors import TrainingDivergedError
from namegen_ext.training.minibatches import MinibatchIndices, WholeSetIndices
from namegen_ext.training.steps import StepRunner

# Steps are run in chunks of about this long: short enough for Ctrl-C and a progress bar, and long enough that
# what happens between chunks costs nothing.
_CHUNK_SECONDS = 0.1
_FIRST_CHUNK = 8  # steps
_LARGEST_CHUNK_EXAMPLES = 2**20
_EARLIEST = 100  # steps: no evaluation comes before, unless eval_every is less


class LoopObserver(Protocol):
    """What the loop tells about, between chunks of steps; a chunk's lines of the log come one after another."""

    def progress(self, step: int, loss: float, seconds: float) -> None:
        """So many steps are done in so many seconds; the mean loss of the last few."""

    def log(self, step: int, loss: float, learning_rate: float) -> None:
        """A line for the metrics: the mean loss since the one before (or the start), the last step's rate.

        The last line of a run may come soon after the one before. Its mean is over ``log_every`` steps all the same.
        """

    def milestone(self, step: int, seconds: float) -> bool:
        """The moment to evaluate; return whether the run has had enough steps."""

    def save(self, step: int, seconds: float) -> None:
        """The moment to save: all that is to be told of this step has been."""


class TrainingLoop:
    """Runs the steps of a training run.

    What is run, and what is told, does not depend on how the steps are divided into chunks, on when the run is saved,
    or on where it was interrupted and resumed.

    Args:
        runner: runs the steps.
        indices: the examples of each step.
        schedule: the learning rate of each step, and the number of steps.
        observer: is told about what happens.
        log_every: a log line every so many steps; besides, there is one after the first step.
        log_at_once: whether a chunk ends at each line of the log: the observer looks at the model in its ``log``.
        eval_every: a milestone every so many steps, after which the run is also saved; 0 for none. Before the first of
            them there are milestones at a half, a quarter and so on of these steps, down to 100: a short list is
            learnt by heart early.
        checkpoint_every: the run is also saved this often.
        agree: takes the size of the next chunk and whether to stop, and returns what all processes do.
        should_stop: asked between chunks of about a tenth of a second.

    """

    def __init__(
        self,
        runner: StepRunner,
        indices: MinibatchIndices | WholeSetIndices,
        schedule: Schedule,
        observer: LoopObserver,
        *,
        log_every: int,
        log_at_once: bool = False,
        eval_every: int,
        checkpoint_every: CheckpointInterval,
        should_stop: Callable[[], bool],
        agree: Callable[[int, bool], tuple[int, bool]] = lambda chunk, stop: (chunk, stop),
    ) -> None:
        self.runner = runner
        self.indices = indices
        self.schedule = schedule
        self.observer = observer
        self.log_every = log_every
        self.log_at_once = log_at_once
        self.eval_every = eval_every
        self.should_stop = should_stop
        self.agree = agree
        self._timer = CheckpointTimer(checkpoint_every)
        self.step = 0
        self.seconds = 0.0
        self.recent_losses = torch.empty(0)
        self._losses_to_log: list[Tensor] = []
        self._enough = False

    @property
    def unlogged_losses(self) -> Tensor:
        """The losses since the last line of the log: float32 (n,)."""
        return torch.cat([torch.empty(0), *self._losses_to_log])

    def run(
        self,
        start_step: int = 0,
        seconds: float = 0.0,
        losses: Tensor | None = None,
        recent_losses: Tensor | None = None,
        *,
        enough: bool = False,
    ) -> bool:
        """Run to the end.

        Args:
            start_step: so many steps are done.
            seconds: spent in them.
            losses: what :attr:`unlogged_losses` was at that moment.
            recent_losses: what :attr:`recent_losses` was at that moment.
            enough: whether the last milestone said that the run has had enough steps.

        Returns:
            Whether the end was reached, or a milestone said that it is enough; False where ``should_stop`` said so
            before.

        Raises:
            TrainingDivergedError: a loss is not finite.

        """
        self.step, self.seconds = start_step, seconds
        self._losses_to_log = [] if losses is None or len(losses) == 0 else [losses]
        self.recent_losses = torch.empty(0) if recent_losses is None else recent_losses
        self._enough = enough
        chunk = _FIRST_CHUNK
        largest_chunk = max(1, _LARGEST_CHUNK_EXAMPLES // self.indices.batch_size)
        while self.step < self.schedule.steps:
            chunk, stopped = self.agree(chunk, self.should_stop() or self._enough)
            if stopped:
                return bool(self.agree(int(self._enough), False)[0])  # the main process alone evaluates
            stop = min(self.step + min(chunk, largest_chunk), self._next_event())
            began = time.perf_counter()
            losses = self._run_steps(stop)
            elapsed = time.perf_counter() - began
            wanted = int(len(losses) * _CHUNK_SECONDS / max(elapsed, 1e-6))
            chunk = max(1, min(wanted, 4 * chunk))
            self.seconds += elapsed
            self._log_and_advance(stop, losses)
            self._tell(float(max(losses, self.recent_losses, key=len).mean()))
        return True

    def _next_event(self) -> int:
        """The next step after which the model is to be looked at; the first one shows how long a step takes."""
        if self.step == 0:
            return 1
        events = [self.schedule.steps]
        # A call costs 43 us beside its steps, 4% of 100 of the engine's at batch 32: lines of the log can wait.
        if self.log_at_once:
            events.append(self._next_log())
        if self.eval_every:
            events.append(next_evaluation(self.step, self.eval_every))
        return int(min(*events, self._timer.next_step(self.step)))

    def _run_steps(self, stop: int) -> Tensor:
        rates = [self.schedule(step) for step in range(self.step, stop)]
        losses = self.runner.run(self.indices.steps(self.step, stop), rates)  # (K,)
        finite = losses.isfinite()
        if not finite.all():
            first = int(finite.logical_not().nonzero()[0])
            self._log_and_advance(self.step + first, losses[:first])
            step = self.step + 1
            raise TrainingDivergedError(step, f"training diverged: the loss at step {step} is not finite")
        return losses

    def _log_and_advance(self, stop: int, losses: Tensor) -> None:
        """Take up the losses of the steps to ``stop``, and tell of those after which there is a line of the log."""
        lines = []
        self.recent_losses = torch.cat([self.recent_losses, losses])[-self.log_every :]
        while self.step < stop:
            next_log = self._next_log()
            count = min(stop, next_log) - self.step
            self._losses_to_log.append(losses[:count])
            losses = losses[count:]
            self.step += count
            if self.step == next_log:
                # After the last line there may be a few steps, whose mean would be mostly noise.
                is_short = self.step == self.schedule.steps and self.step % self.log_every != 0
                averaged = self.recent_losses if is_short else torch.cat(self._losses_to_log)
                mean = float(averaged.double().mean())
                self._losses_to_log.clear()
                lines.append((self.step, mean, self.schedule(self.step - 1)))
        for line in lines:  # when all is taken up: one that cannot be written leaves a run that can be saved
            self.observer.log(*line)

    def _next_log(self) -> int:
        """The next step after which there is a line of the log."""
        return 1 if self.step == 0 else min(self.schedule.steps, _next_multiple(self.step, self.log_every))

    def _tell(self, mean_loss: float) -> None:
        last = self.step == self.schedule.steps
        milestone = not last and bool(self.eval_every) and is_evaluation(self.step, self.eval_every)
        if milestone:
            self._enough = bool(self.observer.milestone(self.step, self.seconds))
        # Saved last, so that a run that goes on from there has told of this step, and tells no more of it.
        is_regular = milestone and self.step % self.eval_every == 0
        if not last and (is_regular or self._timer.is_due(self.step)):
            self.observer.save(self.step, self.seconds)
            self._timer.saved()
        # Shown after all that is kept: a terminal that is gone ends the run here.
        self.observer.progress(self.step, mean_loss, self.seconds)


def next_evaluation(step: int, every: int) -> int:
    """Return the next step after ``step`` at which there is an evaluation."""
    early = [every >> halvings for halvings in range(every.bit_length()) if every >> halvings >= _EARLIEST]
    return min((at for at in early if at > step), default=_next_multiple(step, every))


def is_evaluation(step: int, every: int) -> bool:
    """Whether there is an evaluation after a step, counted from 1."""
    return next_evaluation(step - 1, every) == step


def _next_multiple(step: int, every: int) -> int:
    return (step // every + 1) * every
