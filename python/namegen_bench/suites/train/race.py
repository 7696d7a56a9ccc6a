"""One case for all its peers: each has a process of its own for each number of threads, is checked, then measured."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from namegen_bench.measuring.agreement import check_losses
from namegen_bench.measuring.comparison import Measured, best_of_threads
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.machine import available_cpus
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import Timing
from namegen_bench.measuring.workers import PeerUnavailableError, Worker, measure_workers
from namegen_bench.names import STOCK
from namegen_bench.suites.train import modules
from namegen_bench.suites.train.operation_counts import work_per_step
from namegen_bench.suites.train.prepare import FirstSteps, first_steps, preparation
from namegen_bench.suites.train.train_case import TrainCase, TrainData
from namegen_bench.suites.train.train_peers import COMPILING, ONE_THREAD


class Entry(NamedTuple):
    """A peer at a number of threads."""

    peer: str
    threads: int

    def __str__(self) -> str:
        return f"{self.peer} at {self.threads} thread{'s' if self.threads != 1 else ''}"


@dataclass(frozen=True)
class Race:
    """What was found in a case.

    Attributes:
        peers: the measurement of each peer at its best number of threads.
        others: the measurements of the same peers at the other numbers.
        notes: sentences about the peers that were left out, and about the floor.

    """

    peers: dict[str, Measured]
    others: tuple[tuple[str, Measured], ...]
    notes: tuple[str, ...]


@contextmanager
def compiler_cache() -> Iterator[dict[str, str]]:
    """Make an empty cache for compilers, which lasts as long as a suite.

    The time to compile should be that of a user's first compilation, so what an earlier run left on the disk is not
    used. What does not depend on the case, such as torch's own headers, is compiled once in a suite.

    Yields:
        The environment variables to set in the processes of the peers.

    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        yield {"TORCHINDUCTOR_CACHE_DIR": os.path.join(directory, "inductor")}


def run_race(
    case: TrainCase,
    data: TrainData,
    names: Iterable[str],
    rates: Mapping[int, Rates],
    settings: Settings,
    environment: Mapping[str, str],
    where: str,
    tell: Callable[[str], None],
) -> Race:
    """Measure a case.

    Args:
        case: what is trained.
        data: the examples.
        names: the peers; stock is among them.
        rates: the machine's rates for each number of threads. Each peer is measured at all these numbers, except one
            that cannot use a second thread.
        settings: how long and how often each peer is measured.
        environment: the variables of :func:`compiler_cache`.
        where: names the case in messages.
        tell: is called with what is being done.

    Raises:
        DisagreementError: a peer's losses are not those of the stock layers.
        WorkerError: a peer failed.

    """
    thread_counts = tuple(rates)
    entries = [
        Entry(name, threads)
        for name in names
        for threads in (thread_counts[:1] if name in ONE_THREAD else thread_counts)
    ]
    with ExitStack() as stack:
        workers, found, notes = _start(entries, case, data, environment, where, tell, stack)
        _check(case, data, {entry: torch.tensor(first.losses) for entry, first in found.items()}, where)
        tell(where)
        timings = measure_workers(workers, settings)
        peaks = {entry: worker.peak_memory() for entry, worker in workers.items()}

    work = work_per_step(case, data)
    measured: dict[tuple[str, int], Measured] = {}
    for entry, timing in timings.items():
        per_step = _per_step(timing, case.timed_steps)
        measured[entry] = Measured(
            timing=per_step,
            threads=entry.threads,
            compile_seconds=found[entry].seconds if entry.peer in COMPILING else None,
            peak_resident=peaks[entry],
            loss=found[entry].losses[-1],
            share_of_floor=rates[entry.threads].floor_seconds(work) / per_step.seconds.median,
            rates=rates[entry.threads],
        )
    floors = ", ".join(
        f"{rates[threads].floor_seconds(work) * 1e6:,.3g} us with {threads} thread{'s' * (threads > 1)}"
        for threads in thread_counts
    )
    once = ", equal prefixes counted once" if case.model == "gpt" else ""
    floor = f"{where}: the floor is {floors}: {work.operations / 1e6:,.3g} million operations{once}"
    return Race(*best_of_threads(measured), (*notes, floor))


def _start(
    entries: Sequence[Entry],
    case: TrainCase,
    data: TrainData,
    environment: Mapping[str, str],
    where: str,
    tell: Callable[[str], None],
    stack: ExitStack,
) -> tuple[dict[Entry, Worker], dict[Entry, FirstSteps], list[str]]:
    """Start as many workers at a time as there are CPUs, and wait for their first steps."""
    workers: dict[Entry, Worker] = {}
    found: dict[Entry, FirstSteps] = {}
    notes: list[str] = []
    together = available_cpus()
    for first in range(0, len(entries), together):
        wave = entries[first : first + together]
        tell(f"{where}, first steps of {', '.join(map(str, wave))}")
        for entry in wave:
            worker = Worker(
                f"{where}: {entry}", preparation(entry.peer, case, data), entry.threads, environment
            )
            workers[entry] = stack.enter_context(worker)
        for entry in wave:
            try:
                found[entry] = workers[entry].result()
            except PeerUnavailableError as error:
                del workers[entry]
                notes.append(f"{where}: {entry.peer} left out: {error}")
                continue
            if found[entry].note:
                notes.append(f"{where}: {entry.peer}: {found[entry].note}")
    return workers, found, list(dict.fromkeys(notes))


def _check(case: TrainCase, data: TrainData, losses: dict[Entry, Tensor], where: str) -> None:
    """Compare all losses with those of the stock layers in float64."""
    reference = first_steps(modules.stock_float64(case, data), case)  # (steps,)
    (stock, *_) = (entry for entry in losses if entry.peer == STOCK)
    others = {str(entry): found for entry, found in losses.items() if entry != stock}
    check_losses(where, reference, losses[stock], others)


def _per_step(timing: Timing, steps: int) -> Timing:
    return replace(
        timing, samples=tuple(seconds / steps for seconds in timing.samples), calls=timing.calls * steps
    )
