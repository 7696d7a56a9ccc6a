"""Peak memory of one call, found in a process of its own.

Two figures, neither of which tells all by itself:

- allocated: the most that torch's CPU allocator held at once, beyond what it held before the call. Exact to
  the byte at any size, but blind to what a library keeps for itself (the matrix product's buffers, the
  extension's scratch memory of a MiB for each thread), and it counts tensors that nobody writes to:
  PyTorch's batch norm allocates one in its backward pass.
- resident: how much the process grew at its peak, as the operating system counts it. Sees all that is
  written to, in pages of 4 KiB and with some hundred KiB of code and bookkeeping, so it says something about
  large batches only.

The process is one of :func:`namegen_bench.measuring.processes.clean_processes`.

Of a whole training step (suites train and scaling), what counts is all that its process holds at the peak: data,
weights, gradients, what a library keeps and what a compiler has left; :func:`own_memory` and
:func:`peak_of_own_memory` find it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch.autograd.profiler import profile, record_function

from namegen_bench.measuring.processes import clean_processes

# Given a batch size, prepares everything and returns what is to be measured.
Prepare = Callable[[int], Callable[[], object]]

_WARM_UP_BATCH = 2
_RESIDENT_FROM_BATCH = 1024
_OF_FILES = ("RssFile", "RssShmem")  # code is mapped from files, and read in as it is needed
_CALL = "namegen_ext: the call"


class PeakMemoryError(RuntimeError):
    """The peak memory could not be found; the message says why."""


@dataclass(frozen=True)
class PeakMemory:
    """The peak memory of a call, in bytes.

    Attributes:
        allocated: of torch's allocator.
        resident: of the process; None for a batch so small that the figure would mean nothing.

    """

    allocated: int
    resident: int | None


def peak_memory(prepare: Prepare, batch: int, threads: int) -> PeakMemory:
    """Find the peak memory of one call.

    Args:
        prepare: called in the other process, so it must be a top-level function or a partial of one.
        batch: number of examples.
        threads: number of threads of torch.

    Raises:
        PeakMemoryError: the other process failed.

    """
    context = clean_processes()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_in_child, args=(sender, prepare, batch, threads))
    process.start()
    sender.close()
    try:
        answer = receiver.recv()
    except EOFError:
        process.join()
        raise PeakMemoryError(f"its process ended with status {process.exitcode}") from None
    process.join()
    if isinstance(answer, str):
        raise PeakMemoryError(answer)
    return PeakMemory(*answer)


def _measure_in_child(sender: Connection, prepare: Prepare, batch: int, threads: int) -> None:
    # The profiler writes to standard error when it starts and stops.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    torch.set_num_threads(threads)
    try:
        # Loads the code and makes what is made once; then comes the first call of the size in question.
        prepare(_WARM_UP_BATCH)()
        resident = peak_resident(prepare(batch)) if batch >= _RESIDENT_FROM_BATCH else None
        sender.send((peak_allocated(partial(prepare, batch)), resident))
    except Exception as error:
        sender.send(f"{type(error).__name__}: {error}")


def peak_resident(call: Callable[[], object]) -> int:
    """Return by how many bytes a call makes this process grow at its peak."""
    _give_back_free_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return grown if sys.platform == "darwin" else grown * 1024  # elsewhere it counts in KiB


def own_memory() -> int | None:
    """Return how many bytes this process holds just now, files that are mapped into it left out.

    None where there is no Linux to tell. In whole pages; what finds room in a page that is held already is not
    seen, so small amounts are not.
    """
    _give_back_free_memory()
    return _status("VmRSS", *_OF_FILES)


def peak_of_own_memory(call: Callable[[], object]) -> int | None:
    """Return the most bytes that this process holds during a call, files left out; None without a Linux to tell."""
    _give_back_free_memory()
    call()
    return _status("VmHWM", *_OF_FILES)


def _status(total: str, *less: str) -> int | None:
    """Read a field of /proc/self/status, less some others: bytes."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if not {total, *less} <= fields.keys():
        return None
    # Written as "1234 kB", by which KiB are meant.
    return 1024 * (int(fields[total].split()[0]) - sum(int(fields[name].split()[0]) for name in less))


def _give_back_free_memory() -> None:
    """Let the peak count from what is in use (Linux with glibc; elsewhere the figure is a little low)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text(
            "5", encoding="ascii"
        )  # forgets the peak so far, see proc(5)


def peak_allocated(prepare: Callable[[], Callable[[], object]]) -> int:
    """Return the most bytes that torch's CPU allocator held at once in a call, beyond those before it.

    Args:
        prepare: returns the call. The profiler watches it too, for it does not tell when memory is given back
            that was allocated before it started.

    """
    with profile(profile_memory=True, use_kineto=True) as profiled:
        call = prepare()
        with record_function(_CALL):
            call()
    results = profiled.kineto_results
    assert results is not None  # as it was enabled
    events = sorted(results.events(), key=lambda event: event.start_ns())
    held = before = peak = 0
    for event in events:
        if event.name() == _CALL:
            before = peak = held
        elif event.name() == "[memory]":
            held += event.nbytes()  # below 0 where memory is given back
            peak = max(peak, held)
    return peak - before
