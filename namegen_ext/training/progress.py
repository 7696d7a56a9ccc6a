"""Shows how far training has come: by a bar on a terminal, by plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, TextIO

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_REFRESHES = 0.1


class Reporter(Protocol):
    """Shows the progress of a run. It is a context manager around the steps."""

    def __enter__(self) -> Reporter: ...

    def __exit__(self, *exception: object) -> None: ...

    def begin(self, step: int, steps: int) -> None:
        """Begin with ``step`` of ``steps`` steps done; the clock starts."""

    def progress(self, step: int, loss: float) -> None:
        """Show that ``step`` steps are done; ``loss`` is the mean of the last few, in nats."""

    def evaluation(self, step: int, dev_loss: float | None) -> None:
        """Show the dev loss after ``step`` steps, in nats."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def begin(self, step: int, steps: int) -> None:
        """Show nothing."""

    def progress(self, step: int, loss: float) -> None:
        """Show nothing."""

    def evaluation(self, step: int, dev_loss: float | None) -> None:
        """Show nothing."""


class _Rate:
    """Steps per second since the beginning."""

    def __init__(self, step: int, steps: int) -> None:
        self.first_step, self.steps = step, steps
        self.began = time.perf_counter()

    def __call__(self, step: int) -> float:
        return (step - self.first_step) / max(time.perf_counter() - self.began, 1e-9)


class PlainLines(Silent):
    """Writes a line at each tenth of the way, and every ten seconds where that takes longer."""

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = file

    def begin(self, step: int, steps: int) -> None:
        """Start the clock."""
        self._rate = _Rate(step, steps)
        self._tenth = 10 * step // steps
        self._last_line = time.perf_counter()

    def progress(self, step: int, loss: float) -> None:
        """Write a line where one is due."""
        tenth, now = 10 * step // self._rate.steps, time.perf_counter()
        if tenth == self._tenth and now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._tenth, self._last_line = tenth, now
        width = len(f"{self._rate.steps:,}")
        self._write(
            f"step {step:>{width},} of {self._rate.steps:,}  loss {loss:.4f}  {self._rate(step):,.0f} steps/s"
        )

    def evaluation(self, step: int, dev_loss: float | None) -> None:
        """Write the dev loss."""
        if dev_loss is not None:
            width = len(f"{self._rate.steps:,}")
            self._write(f"step {step:>{width},}: dev loss {dev_loss:.4f}")

    def _write(self, line: str) -> None:
        print(line, file=self.file or sys.stdout, flush=True)


class ProgressBar(Silent):
    """A bar with steps per second, the time left, the loss and the dev loss."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        # Without a refresh thread, which would hold up the training steps.
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[dev_loss]}"),
            TimeRemainingColumn(),
            auto_refresh=False,
        )
        self._last_refresh = 0.0

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.refresh()
        self._bar.stop()

    def begin(self, step: int, steps: int) -> None:
        """Draw the bar."""
        self._rate = _Rate(step, steps)
        fields: dict[str, Any] = {"rate": "", "loss": "", "dev_loss": ""}
        self._task = self._bar.add_task("training", total=steps, completed=step, **fields)

    def progress(self, step: int, loss: float) -> None:
        """Move the bar."""
        now = time.perf_counter()
        done = step == self._rate.steps
        if now - self._last_refresh < _SECONDS_BETWEEN_REFRESHES and not done:
            return
        self._last_refresh = now
        self._bar.update(
            self._task, completed=step, rate=f"{self._rate(step):,.0f} steps/s", loss=f"loss {loss:.3f}"
        )
        self._bar.refresh()

    def evaluation(self, step: int, dev_loss: float | None) -> None:
        """Show the dev loss beside the bar."""
        if dev_loss is not None:
            self._bar.update(self._task, dev_loss=f"dev {dev_loss:.4f}")


def reporter_for(output: TextIO) -> Reporter:
    """Return a bar where the output is a terminal, plain lines where it is not."""
    return ProgressBar() if output.isatty() else PlainLines()
