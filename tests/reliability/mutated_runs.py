"""Runs to be changed at random. Each must then load as before, or end in one clear error in little time."""

from __future__ import annotations

import contextlib
import io
import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import namegen_ext.sample
import namegen_ext.train
from namegen_ext.diagnostics.history import RunHistory, read_history
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.saved_run import Run
from namegen_ext.training import RunError, Trainer, load_run

SECONDS = 2.0  # of processor time, so that a busy machine fails no test
PATIENCE = 30.0  # seconds by the clock, against an attempt that waits and never ends
MEMORY = 2**29
_SMALL = ["--hidden-size", "8", "--embedding-dim", "3"]
MODELS = {
    "mlp": [*_SMALL, "--optimizer", "adamw", "--num-hidden-layers", "2"],
    "gpt": [
        "--model",
        "gpt",
        "--embedding-dim",
        "4",
        "--num-heads",
        "2",
        "--num-layers",
        "1",
        "--dropout",
        "0.1",
    ],
    # Of a table with counts, whose best model so far is not its last.
    "wavenet": [
        *_SMALL,
        "--model",
        "wavenet",
        "--block-size",
        "4",
        "--momentum",
        "0.9",
        "--case",
        "title",
        "--count-column",
        "2",
        "--eval-every",
        "3",
    ],
}

# How often each kind was tried; --long multiplies it.
tried: Counter[str] = Counter()


@dataclass(frozen=True)
class Original:
    """A run as it was, to compare with."""

    path: Path
    run: Run
    words: list[str]
    history: RunHistory
    trainer: Trainer
    restored: dict[str, Tensor]
    metrics: bytes


def train_originals(base: Path, word_file: Path) -> dict[str, Original]:
    """Train a small run of each model."""
    made = {}
    table = base / "table.csv"
    lines = enumerate(word_file.read_text(encoding="utf-8").splitlines())
    table.write_text("".join(f"{word},{number % 7 + 1}\n" for number, word in lines), encoding="utf-8")
    for name, flags in MODELS.items():
        path = base / name
        arguments = [
            "--data",
            str(table if "--count-column" in flags else word_file),
            *flags,
            "--steps",
            "12",
            "--log-every",
            "4",
            "--checkpoint-every",
            "5",
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            assert namegen_ext.train.main([*arguments, "--out", str(path)]) == 0
        run = load_run(path)
        trainer = Trainer(run.words, run.config.options, weights=run.weights)
        trainer.restore(RunDirectory(path))
        restored = {key: value.clone() for key, value in trainer.model.state_dict().items()}
        metrics = (path / "metrics.jsonl").read_bytes()
        made[name] = Original(
            path, run, run.words, read_history(RunDirectory(path)), trainer, restored, metrics
        )
    return made


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Limit the memory beyond what the process has, and the time of each attempt."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))

    def too_slow(number: int, frame: Any) -> None:
        raise AssertionError(f"took more than {SECONDS} s of work or {PATIENCE} s")

    before = {number: signal.signal(number, too_slow) for number in (signal.SIGALRM, signal.SIGPROF)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    """Fail an attempt that takes too long."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def attempt(action: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Return the result of an action, or its RunError, whose message must be one line that is not too long."""
    try:
        with in_time(seconds):
            return action()
    except RunError as error:
        message = str(error)
        assert message
        assert message.isprintable(), message
        assert len(message) < 3000, message
        return error


def count(request: pytest.FixtureRequest, number: int) -> int:
    return 10 * number if request.config.getoption("--long") else number


def seed_of(request: pytest.FixtureRequest) -> Any:
    """Return a generator that gives the same mutations each time, and others with --long."""
    return None if request.config.getoption("--long") else request.node.name


@contextlib.contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    """Put other bytes in a file's place for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def same_tensors(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


def load(path: Path) -> tuple[Run, list[str]]:
    run = load_run(path)
    assert run.weights is None or len(run.weights) == len(run.words)
    return run, run.words


def assert_loads_the_same_or_fails(original: Original, *, same_config: bool = True) -> bool:
    """Load a changed run; return whether that worked, with the same model."""
    outcome = attempt(lambda: load(original.path))
    if isinstance(outcome, RunError):
        return False
    run, words = outcome
    assert same_tensors(run.model.state_dict(), original.run.model.state_dict())
    assert words == original.words
    assert run.step == original.run.step
    if same_config:
        assert run.config == original.run.config
    return True


def newest(original: Original) -> Path:
    return RunDirectory(original.path).saved_checkpoints()[-1]


def assert_restores_the_same_or_fails(original: Original, warnings: list[str]) -> None:
    """Restore a run whose newest checkpoint was changed: it, or with a warning the one before, or one clear error."""
    outcome = attempt(lambda: original.trainer.restore(RunDirectory(original.path), warn=warnings.append))
    if isinstance(outcome, RunError):
        return
    if outcome == 10:
        assert any("going on from" in warning for warning in warnings)
        return
    assert outcome == 12
    assert same_tensors(original.trainer.model.state_dict(), original.restored)


def assert_command_ends(capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> int:
    """Run a command; it must end well, or with status 1 or 2 and one line."""
    module = {"sample": namegen_ext.sample, "train": namegen_ext.train}[command]
    try:
        with in_time():
            status = module.main(arguments, prog="namegen")
    except SystemExit as error:
        status = error.code
    errors = capsys.readouterr().err
    assert status in (0, 1, 2)
    if status:
        assert errors.startswith("namegen: error: ")
        assert errors.count("\n") == 1
        assert len(errors) < 3000
    return status
