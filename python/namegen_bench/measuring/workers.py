"""A peer in a process of its own, which works when it is asked to.

Peers that share a process disturb each other: their pools of threads and their allocators outlive their turn, and
some settings, such as JAX's number of threads, can be made only once in a process. So each peer has a process for each
number of threads. The parent asks one worker after another for a sample. The other workers wait for their next
message, which takes no CPU time. The seconds are taken in the worker, so they do not include the messages.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, TypeVar

import torch

from namegen_bench.bench_errors import BenchError
from namegen_bench.measuring.memory import peak_of_own_memory
from namegen_bench.measuring.processes import clean_processes
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import Sampler, Timing, measure, no_garbage_collection

_ANSWER_SECONDS = 600.0  # a worker that takes longer to answer counts as hung
_END_SECONDS = 5.0
# Threads of OpenMP look for more work for some milliseconds before they go to sleep. The next worker's turn begins
# after this pause.
_PAUSE_SECONDS = 0.003
# Before a sample of n calls, n // _UNTIMED_SHARE calls are made that are not timed. A sample of one or two long calls
# needs none.
_UNTIMED_SHARE = 3

Key = TypeVar("Key", bound=Hashable)


class PeerUnavailableError(RuntimeError):
    """A peer cannot be measured here; the message says why."""


class WorkerError(BenchError):
    """A worker failed; the message names it and says why."""


@dataclass(frozen=True)
class Prepared:
    """What a worker has built.

    Attributes:
        result: is sent to the parent, which checks it before it asks for samples.
        sampler: does the work as many times as it is asked to.
        memory_before: what :func:`namegen_bench.measuring.memory.own_memory` returned when the libraries were loaded
            and nothing was built yet.

    """

    result: Any
    sampler: Sampler
    memory_before: int | None = None


# Takes the number of threads and builds a peer. It is sent to the worker, so it must be a top-level function or a
# partial of one.
Prepare = Callable[[int], Prepared]


class Worker:
    """A process that builds a peer at once, and then runs it on demand.

    Args:
        name: names the worker in messages.
        prepare: builds the peer in the process.
        threads: number of threads of torch in the process.
        environment: variables that are set in the process before anything is built.

    """

    def __init__(
        self, name: str, prepare: Prepare, threads: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        context = clean_processes()
        self._connection, theirs = context.Pipe()
        arguments = theirs, prepare, threads, dict(environment or {})
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()  # after Ctrl-C or another worker's failure, nobody waits for its result
        self.close()

    def result(self) -> Any:
        """Wait until the peer is built, and return its result. This can be called once.

        Raises:
            PeerUnavailableError: the peer cannot be measured here.
            WorkerError: the peer failed.

        """
        return self._answer()

    def run(self, calls: int) -> float:
        """Do the work ``calls`` times, and return how many seconds that took.

        Raises:
            WorkerError: the peer failed.

        """
        seconds = self._ask(calls)
        time.sleep(_PAUSE_SECONDS)
        return float(seconds)

    def peak_memory(self) -> int | None:
        """Do the work once, and return the most bytes that the process held meanwhile beyond ``memory_before``.

        It is None where the system does not report it. What a compiler has left behind counts, because the process
        holds it.

        Raises:
            WorkerError: the peer failed.

        """
        peak: int | None = self._ask("peak memory")
        return peak

    def close(self) -> None:
        """End the process."""
        self._connection.close()  # the process then ends by itself, unless it is in the middle of something
        self._process.join(_END_SECONDS if self._process.is_alive() else None)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, request: object) -> Any:
        try:
            self._connection.send(request)
        except OSError:
            self._raise_ended()
        return self._answer()

    def _answer(self) -> Any:
        try:
            if not self._connection.poll(_ANSWER_SECONDS):
                raise WorkerError(f"{self.name}: no answer within {_ANSWER_SECONDS:g} s")
            kind, value = self._connection.recv()
        except (EOFError, ConnectionError):
            self._raise_ended()
        if kind == "unavailable":
            raise PeerUnavailableError(value)
        if kind == "failed":
            raise WorkerError(f"{self.name}: {value}")
        return value

    def _raise_ended(self) -> None:
        self._process.join(_END_SECONDS)
        raise WorkerError(f"{self.name}: its process ended with status {self._process.exitcode}") from None


def measure_workers(workers: Mapping[Key, Worker], settings: Settings) -> dict[Key, Timing]:
    """Measure peers against each other, each in its own process; see :func:`namegen_bench.measuring.timing.measure`."""
    samplers: dict[Key, Sampler] = {key: worker.run for key, worker in workers.items()}
    return measure(samplers, settings, clock=_seconds_told)


def close_all(workers: Sequence[Worker]) -> None:
    """End all workers."""
    for worker in workers:
        worker.close()


def _seconds_told(sampler: Sampler, calls: int) -> float:
    seconds = sampler(calls)
    assert isinstance(seconds, float)
    return seconds


def _serve(connection: Connection, prepare: Prepare, threads: int, environment: dict[str, str]) -> None:
    # Ctrl-C reaches every process of the group. The parent handles it, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # compilers and profilers write there
    os.environ.update(environment)
    torch.set_num_threads(threads)
    with suppress(EOFError, ConnectionError):  # the parent has closed its end
        try:
            prepared = prepare(threads)
            connection.send(("done", prepared.result))
            with no_garbage_collection():
                while True:
                    connection.send(("done", _done(prepared, connection.recv())))
        except PeerUnavailableError as error:
            connection.send(("unavailable", str(error)))
        except (EOFError, ConnectionError):
            raise
        except Exception as error:
            connection.send(("failed", f"{type(error).__name__}: {error}"))


def _done(prepared: Prepared, request: object) -> float | int | None:
    if isinstance(request, int):
        # Since the last turn, threads have gone to sleep and data has left the caches: the first calls are not timed.
        prepared.sampler(request // _UNTIMED_SHARE)
        began = time.perf_counter()
        prepared.sampler(request)
        return time.perf_counter() - began
    if prepared.memory_before is None:
        return None
    peak = peak_of_own_memory(lambda: prepared.sampler(1))
    return None if peak is None else max(0, peak - prepared.memory_before)
