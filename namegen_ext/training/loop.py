"""The training loop: the same for every backend."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from namegen_ext.options.checkpoint_interval import CheckpointInterval, CheckpointTimer
from namegen_ext.options.schedules import Schedule
from namegen_ext.training.minibatches import EpochIndices, MinibatchIndices, WholeSetIndices
from namegen_ext.training.steps import StepRunner
from namegen_ext.training.training_errors import TrainingDivergedError

# Steps are run in chunks of about this time. It is short enough for Ctrl-C and a progress bar, and long enough to make
# the work between chunks negligible.
_CHUNK_SECONDS = 0.1
_FIRST_CHUNK = 8  # steps
_LARGEST_CHUNK_EXAMPLES = 2**20
_EARLIEST = 100  # steps: no evaluation comes before, unless eval_every is less


class LoopObserver(Protocol):
    """What the loop reports to, between chunks of steps. All lines of the log of a chunk come together."""

    def progress(self, step: int, loss: float, seconds: float) -> None:
        """Report that ``step`` steps are done in ``seconds``; ``loss`` is the mean of the last few."""

    def log(self, step: int, loss: float, learning_rate: float) -> None:
        """Write a line of the metrics: the mean loss since the line before, or the start, and the last step's rate.

        The last line of a run may come soon after the one before. Its mean is over ``log_every`` steps all the same.
        """

    def milestone(self, step: int, seconds: float) -> bool:
        """Evaluate the model now; return whether the run has had enough steps."""

    def save(self, step: int, seconds: float) -> None:
        """Save the run now. Everything about this step has been reported."""


class TrainingLoop:
    """Runs the steps of a training run.

    What is run and what is reported do not depend on how the steps are divided into chunks, on when the run is saved,
    or on where it was interrupted and resumed.

    Args:
        runner: runs the steps.
        indices: the examples of each step.
        schedule: the learning rate of each step, and the number of steps.
        observer: what the loop reports to.
        log_every: a log line every so many steps, and one after the first step.
        log_at_once: whether a chunk ends at each line of the log, because the observer reads the model in ``log``.
        eval_every: a milestone every so many steps, after which the run is also saved; 0 for none. Before the first of
            them there are milestones at a half, a quarter and so on of these steps, down to 100, because a short list
            is learnt by heart early.
        checkpoint_every: how often the run is saved besides.
        agree: takes this process's size of the next chunk and whether it is to stop; returns those of all processes.
        should_stop: asked between chunks, which take about a tenth of a second.

    """

    def __init__(
        self,
        runner: StepRunner,
        indices: MinibatchIndices | EpochIndices | WholeSetIndices,
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
        """Return the next step after which a chunk must end. The first step does, to show how long a step takes."""
        if self.step == 0:
            return 1
        events = [self.schedule.steps]
        # Lines of the log wait for the end of a chunk, because each call of the engine has a cost of its own.
        # Measured: 43 us a call, 4% of 100 steps (MLP, batch 32).
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
        """Take the losses of the steps up to ``stop``, and write the lines of the log that fall among them."""
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
        for (
            line
        ) in lines:  # after all losses are taken, so that the run can be saved where a line cannot be written
            self.observer.log(*line)

    def _next_log(self) -> int:
        """Return the next step after which there is a line of the log."""
        return 1 if self.step == 0 else min(self.schedule.steps, _next_multiple(self.step, self.log_every))

    def _tell(self, mean_loss: float) -> None:
        last = self.step == self.schedule.steps
        milestone = not last and bool(self.eval_every) and is_evaluation(self.step, self.eval_every)
        if milestone:
            self._enough = bool(self.observer.milestone(self.step, self.seconds))
        # The run is saved last, so that a resumed run does not report this step again.
        is_regular = milestone and self.step % self.eval_every == 0
        if not last and (is_regular or self._timer.is_due(self.step)):
            self.observer.save(self.step, self.seconds)
            self._timer.saved()
        # Progress is shown after everything is saved, because the run ends here where its terminal is gone.
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
