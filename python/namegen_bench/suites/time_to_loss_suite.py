"""The suite ``time-to-loss``: seconds from the start of a process to a trained MLP of a given dev loss.

Each run is ``python -m namegen_ext.train`` in a fresh process, as a user would start it. The time includes importing
torch, reading the words, training, the losses over all splits, and writing the run directory. The peers are the
command's backends, on the same split, seed and steps. The recipe is the quickest that was found among the options of
the command: AdamW in larger minibatches than usual, with a cosine schedule and without batch norm. Batch norm slows a
step by more than the steps that it saves here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namegen_bench.bench_errors import BenchError
from namegen_bench.measuring.agreement import DisagreementError
from namegen_bench.measuring.comparison import Comparison, Measured
from namegen_bench.measuring.floor import Rates, Work
from namegen_bench.measuring.rates import measure_rates
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import Timing
from namegen_bench.names import FUSED_LAYERS, FUSED_STEP, STOCK, SUITE_PEERS, TIME_TO_LOSS
from namegen_bench.suites.train.operation_counts import work_per_step
from namegen_bench.suites.train.train_case import TrainCase, build_data
from namegen_ext.data import load_words

# The flags of each backend, which are given in addition to those of the recipe.
PEER_FLAGS = {STOCK: (), FUSED_LAYERS: ("--fused=layers",), FUSED_STEP: ("--fused=step",)}

BATCH_SIZE = 256
_RECIPE = ("--no-batch-norm", "--optimizer", "adamw", "--learning-rate", "0.01", "--schedule", "cosine")
_STEPS, _QUICK_STEPS = 2000, 20
_ONLY_WHAT_IS_TIMED = ("--eval-every", "0", "--samples", "0")

# The seeds 42, 1, 2 and 3 all reach this loss with a margin of 0.02 or more.
_CENSUS_LOSS = 2.05
# An MLP of this size without any scaling reaches 2.1682 on the makemore names in 200,000 steps. Source: A. Karpathy's
# lecture "Building makemore part 3", 2022.
_WORDS_LOSS = 2.17
_MOST_SECONDS = 8.0
_LOSS_TOLERANCE = 0.005
_ROUNDS = 5


class TrainingFailedError(BenchError):
    """The command that is measured failed; the message says why."""


@dataclass(frozen=True)
class _Run:
    """The result of one process: its seconds, and its summary.json."""

    seconds: float
    summary: dict[str, Any]


def run_time_to_loss(
    settings: Settings,
    thread_counts: Sequence[int],
    only_peers: frozenset[str] | None,
    tell: Callable[[str], None],
) -> Iterator[Comparison]:
    """Measure the command with each backend. The backends take turns.

    Args:
        settings: ``data`` is the word list. This suite takes at most five of the rounds that the settings ask for.
        thread_counts: the first is the number of threads that torch is set to.
        only_peers: the peers to measure beside stock; None for all.
        tell: is called with what is being measured.

    Raises:
        TrainingFailedError: a run failed.
        DisagreementError: a backend reaches another dev loss than the stock layers.

    """
    threads = thread_counts[0]
    names = [
        name
        for name in SUITE_PEERS[TIME_TO_LOSS]
        if name == STOCK or only_peers is None or name in only_peers
    ]
    loss = _CENSUS_LOSS if settings.data is None else _WORDS_LOSS
    runs: dict[str, list[_Run]] = {name: [] for name in names}
    if not settings.quick:
        tell("a first run, which brings all files into memory")
        _train(names[-1], settings, threads)
    rounds = 1 if settings.quick else min(_ROUNDS, settings.rounds)
    for round_number in range(rounds):
        first = round_number % len(names)
        for name in names[first:] + names[:first]:
            tell(f"{name}, run {round_number + 1} of {rounds}")
            runs[name].append(_train(name, settings, threads))

    _check(runs)
    rates = measure_rates(threads)
    floor = _steps(settings) * rates.floor_seconds(_work_per_step(settings))
    reached = {name: _dev_loss(found[-1]) <= loss for name, found in runs.items()}
    notes = [
        f"{TIME_TO_LOSS}: {name} trained for {found[-1].summary['train_seconds']:.2f} s of its time"
        for name, found in runs.items()
    ]
    if not settings.quick:
        notes += [
            f"{TIME_TO_LOSS}: {name} came to {_dev_loss(runs[name][-1]):.4f}, which is above {loss}"
            for name in names
            if not reached[name]
        ]
    yield Comparison(
        suite=TIME_TO_LOSS,
        case="mlp",
        mode="process",
        sizes=f"data={Path(settings.data or 'census').name} dev-loss={loss} steps={_steps(settings)}",
        batch=BATCH_SIZE,
        peers={name: _measured(found, floor, rates) for name, found in runs.items()},
        most_seconds=_MOST_SECONDS if reached.get(FUSED_STEP) and not settings.quick else None,
        notes=tuple(notes),
    )


def _measured(found: list[_Run], floor: float, rates: Rates) -> Measured:
    timing = Timing(tuple(run.seconds for run in found), 1)
    return Measured(
        timing,
        loss=_dev_loss(found[-1]),
        share_of_floor=floor / timing.seconds.median,
        rates=rates,
    )


def _work_per_step(settings: Settings) -> Work:
    """Count the least work of a training step. It is that of SGD, though AdamW does more for each parameter."""
    words = load_words(settings.data or "census").words
    case = TrainCase(batch_norm=False, batch_size=BATCH_SIZE, steps=_steps(settings), timed_steps=1)
    return work_per_step(case, build_data(case, words))


def _check(runs: dict[str, list[_Run]]) -> None:
    """Check that all backends have trained the same model. Rounding alone moves its dev loss by less."""
    expected = _dev_loss(runs[STOCK][0])
    for name, found in runs.items():
        for run in found:
            if not abs(_dev_loss(run) - expected) <= _LOSS_TOLERANCE:
                raise DisagreementError(
                    f"{TIME_TO_LOSS}: {name} came to the dev loss {_dev_loss(run):.4f}, stock to {expected:.4f}, "
                    f"expected at most {_LOSS_TOLERANCE} between them"
                )


def _steps(settings: Settings) -> int:
    return _QUICK_STEPS if settings.quick else _STEPS


def _dev_loss(run: _Run) -> float:
    return float(run.summary["dev_loss"])


def _train(name: str, settings: Settings, threads: int) -> _Run:
    with tempfile.TemporaryDirectory() as parent:
        out = Path(parent) / "run"
        command = [
            sys.executable,
            "-m",
            "namegen_ext.train",
            *PEER_FLAGS[name],
            *_RECIPE,
            *_ONLY_WHAT_IS_TIMED,
        ]
        command += ["--steps", str(_steps(settings)), "--batch-size", str(BATCH_SIZE)]
        command += ["--threads", str(threads), "--data", settings.data or "census", "--out", str(out)]
        began = time.perf_counter()
        finished = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if finished.returncode != 0:
            lines = finished.stderr.strip().splitlines() or [f"exit status {finished.returncode}"]
            raise TrainingFailedError(f"{TIME_TO_LOSS}: {name}: {lines[-1]}")
        return _Run(seconds, json.loads((out / "summary.json").read_text(encoding="utf-8")))
