"""A peer in a process of its own, that does its work when it is asked to.

Peers that share a process disturb each other: their pools of threads and their allocators outlive their turn, and
some settings, such as JAX's number of threads, are made once a process. So each peer has its own, for each number
of threads. The parent asks one after another for a sample; those whose turn it is not wait for the next message,
which takes no time of the CPU. The seconds are taken in the worker: sending messages is not in them.
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

from namegen_bench.errors import BenchError
from namegen_bench.measuring.memory import peak_of_own_memory
from namegen_bench.measuring.processes import clean_processes
from namegen_bench.measuring.settings import Settings
from namegen_bench.measuring.timing import Sampler, Timing, measure, no_garbage_collection

_ANSWER_SECONDS = 600.0  # a worker that takes longer to answer is taken for hung
_END_SECONDS = 5.0
# Threads of OpenMP look for more work, for some milliseconds, before they go to sleep: the next worker's turn begins
# after that.
_PAUSE_SECONDS = 0.003
_UNTIMED_SHARE = 3  # before so many calls of a sample, one is made that is not timed; few long ones need none

Key = TypeVar("Key", bound=Hashable)


class PeerUnavailableError(RuntimeError):
    """A peer cannot be had here; the message says why."""


class WorkerError(BenchError):
    """A worker failed; the message names it and says why."""


@dataclass(frozen=True)
class Prepared:
    """What a worker has built.

    Attributes:
        result: goes to the parent, which checks it before it asks for samples.
        sampler: does the work so many times.
        memory_before: what :func:`namegen_bench.measuring.memory.own_memory` said when the libraries were loaded
            and nothing was built yet.

    """

    result: Any
    sampler: Sampler
    memory_before: int | None = None


# Given the number of threads, builds a peer; a top-level function, or a partial of one, as it is sent to the worker.
Prepare = Callable[[int], Prepared]


class Worker:
    """A process that builds a peer, which begins at once, and then runs it on demand.

    Args:
        name: names the worker in messages.
        prepare: builds the peer there.
        threads: number of threads of torch there.
        environment: variables to be set there before anything is built.

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
            self._process.kill()  # Ctrl-C, or another worker's failure: nobody waits for what it does
        self.close()

    def result(self) -> Any:
        """Wait until the peer is built, once, and return the result of it.

        Raises:
            PeerUnavailableError: the peer cannot be had here.
            WorkerError: it failed.

        """
        return self._answer()

    def run(self, calls: int) -> float:
        """Do the work so many times; return how many seconds that took.

        Raises:
            WorkerError: it failed.

        """
        seconds = self._ask(calls)
        time.sleep(_PAUSE_SECONDS)
        return float(seconds)

    def peak_memory(self) -> int | None:
        """Do the work once, and return the most bytes that the process held meanwhile beyond ``memory_before``.

        None where the system does not tell. What a compiler has left behind counts: the process holds it.

        Raises:
            WorkerError: it failed.

        """
        peak: int | None = self._ask("peak memory")
        return peak

    def close(self) -> None:
        """End the process."""
        self._connection.close()  # at which it ends by itself, unless it is in the middle of something
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
    """Measure peers against each other, each in its own process: see :func:`namegen_bench.measuring.timing.measure`."""
    samplers: dict[Key, Sampler] = {key: worker.run for key, worker in workers.items()}
    return measure(samplers, settings, clock=_seconds_told)


def close_all(workers: Sequence[Worker]) -> None:
    """End all of them."""
    for worker in workers:
        worker.close()


def _seconds_told(sampler: Sampler, calls: int) -> float:
    seconds = sampler(calls)
    assert isinstance(seconds, float)
    return seconds


def _serve(connection: Connection, prepare: Prepare, threads: int, environment: dict[str, str]) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all of the group; the parent ends its workers
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
        # Since the last turn, threads have gone to sleep and data has left the caches: the first part is not timed.
        prepared.sampler(request // _UNTIMED_SHARE)
        began = time.perf_counter()
        prepared.sampler(request)
        return time.perf_counter() - began
    if prepared.memory_before is None:
        return None
    peak = peak_of_own_memory(lambda: prepared.sampler(1))
    return None if peak is None else max(0, peak - prepared.memory_before)
