"""Peak memory of one call, found in a process of its own.

There are two figures, because neither shows everything:

- allocated: the most bytes that torch's CPU allocator held at once, beyond those it held before the call. It is exact
  to the byte at any size. It does not see what a library keeps for itself, such as buffers of the matrix product and
  this extension's MiB of scratch memory for each thread. It counts tensors that nobody writes to: PyTorch's batch norm
  allocates one in its backward pass.
- resident: how much the process grew at its peak, as the operating system counts it. It sees everything that is
  written to. It counts in pages of 4 KiB, and includes some hundred KiB of code and bookkeeping, so it is meaningful
  for large batches only.

The process is one of :func:`namegen_bench.measuring.processes.clean_processes`.

For a whole training step (suites train and scaling), everything counts that its process holds at the peak: data,
weights, gradients, what a library keeps and what a compiler has left behind. :func:`own_memory` and
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

# Takes a batch size, prepares everything, and returns the call that is measured.
Prepare = Callable[[int], Callable[[], object]]

_WARM_UP_BATCH = 2
_RESIDENT_FROM_BATCH = 1024
_OF_FILES = (
    "RssFile",
    "RssShmem",
)  # memory that is mapped from files, such as code, which is read when first needed
_CALL = "namegen_ext: the call"


class PeakMemoryError(RuntimeError):
    """The peak memory could not be found; the message says why."""


@dataclass(frozen=True)
class PeakMemory:
    """The peak memory of a call, in bytes.

    Attributes:
        allocated: the peak of torch's allocator.
        resident: the peak growth of the process; None for a batch so small that the figure would mean nothing.

    """

    allocated: int
    resident: int | None


def peak_memory(prepare: Prepare, batch: int, threads: int) -> PeakMemory:
    """Find the peak memory of one call.

    Args:
        prepare: is called in the other process, so it must be a top-level function or a partial of one.
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
        # A small call first: it loads code, and makes what is made once. The next call is the first one of this size.
        prepare(_WARM_UP_BATCH)()
        resident = peak_resident(prepare(batch)) if batch >= _RESIDENT_FROM_BATCH else None
        sender.send((peak_allocated(partial(prepare, batch)), resident))
    except Exception as error:
        sender.send(f"{type(error).__name__}: {error}")


def peak_resident(call: Callable[[], object]) -> int:
    """Return by how many bytes this process grows at the peak of a call."""
    _give_back_free_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return grown if sys.platform == "darwin" else grown * 1024  # macOS counts bytes, other systems KiB


def own_memory() -> int | None:
    """Return how many bytes this process holds at this moment, without the files that are mapped into it.

    It is None on other systems than Linux. Whole pages are counted, so a small amount that finds room in a page that
    the process already holds is not seen.
    """
    _give_back_free_memory()
    return _status("VmRSS", *_OF_FILES)


def peak_of_own_memory(call: Callable[[], object]) -> int | None:
    """Return the most bytes that this process holds during a call, without files; None on other systems than Linux."""
    _give_back_free_memory()
    call()
    return _status("VmHWM", *_OF_FILES)


def _status(total: str, *less: str) -> int | None:
    """Read a field of /proc/self/status and subtract some others; the result is in bytes."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if not {total, *less} <= fields.keys():
        return None
    # The system writes "1234 kB" and means KiB.
    return 1024 * (int(fields[total].split()[0]) - sum(int(fields[name].split()[0]) for name in less))


def _give_back_free_memory() -> None:
    """Give free memory back to the system, and let it forget the peak so far.

    This works on Linux with glibc. On other systems the measured growth is a little too low.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak, see proc(5)


def peak_allocated(prepare: Callable[[], Callable[[], object]]) -> int:
    """Return the most bytes that torch's CPU allocator held at once in a call, beyond those it held before.

    Args:
        prepare: returns the call. The profiler watches this as well, because it does not report the return of memory
            that was allocated before it started.

    """
    with profile(profile_memory=True, use_kineto=True) as profiled:
        call = prepare()
        with record_function(_CALL):
            call()
    results = profiled.kineto_results
    assert results is not None  # because the profiler was enabled
    events = sorted(results.events(), key=lambda event: event.start_ns())
    held = before = peak = 0
    for event in events:
        if event.name() == _CALL:
            before = peak = held
        elif event.name() == "[memory]":
            held += event.nbytes()  # negative where memory is given back
            peak = max(peak, held)
    return peak - before
