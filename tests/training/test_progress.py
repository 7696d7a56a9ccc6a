"""Plain lines and the bar."""

from __future__ import annotations

import io

import pytest

from namegen_ext.training import progress
from namegen_ext.training.progress import PlainLines, ProgressBar, reporter_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal_and_lines_elsewhere() -> None:
    assert isinstance(reporter_for(Terminal()), ProgressBar)
    assert isinstance(reporter_for(io.StringIO()), PlainLines)


def test_a_line_at_each_tenth() -> None:
    output = io.StringIO()
    with PlainLines(output) as lines:
        lines.begin(0, 1000)
        for step in range(10, 1001, 10):
            lines.progress(step, 2.5)
    written = output.getvalue().splitlines()
    assert [line.split()[1] for line in written] == [f"{step:,}" for step in range(100, 1001, 100)]
    assert all("loss 2.5000" in line and "steps/s" in line for line in written)


def test_a_line_where_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))  # four seconds from one look to the next
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(clock)))
    output = io.StringIO()
    with PlainLines(output) as lines:
        lines.begin(0, 1_000_000)
        for step in range(1, 11):
            lines.progress(step, 2.5)
    assert 2 <= len(output.getvalue().splitlines()) <= 5  # ten steps, at 40 to 80 seconds in all


def test_a_resumed_run_counts_its_own_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    output = io.StringIO()
    with PlainLines(output) as lines:
        lines.begin(900, 1000)
        lines.progress(1000, 2.5)
    assert "50 steps/s" in output.getvalue()


def test_evaluations_are_told() -> None:
    output = io.StringIO()
    with PlainLines(output) as lines:
        lines.begin(0, 1000)
        lines.evaluation(500, 2.25)
        lines.evaluation(600, None)  # no dev words
    assert output.getvalue() == "step   500: dev loss 2.2500\n"


def test_the_bar_shows_speed_loss_and_dev_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with ProgressBar() as bar:
        bar.begin(0, 100)
        bar.evaluation(50, 2.25)
        bar.progress(100, 2.5)
    shown = terminal.getvalue()
    assert "100/100" in shown
    assert "steps/s" in shown
    assert "loss 2.500" in shown
    assert "dev 2.2500" in shown
