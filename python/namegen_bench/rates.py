"""What this machine can do at best, measured in the same run as everything else: the floor of a row's time.

Nothing can be faster than its operations at the machine's rate of fused multiply-adds, nor than the bytes that it
must go through at the machine's bandwidth. A row's share of that floor says how much is left to be gained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from namegen_bench.bandwidth import memory_bandwidths
from namegen_bench.fma_rate import fma_rate


@dataclass(frozen=True)
class Rates:
    """A machine's rates with some number of threads.

    Attributes:
        operations_per_second: of float32, a multiplication and an addition being two.
        bandwidths: bytes per second, read and written ones together, by how many bytes are gone through: at
            least one.
        clock_mhz: of the CPUs, on average, just after they were measured; None where the system does not tell.

    """

    operations_per_second: float
    bandwidths: Mapping[int, float]
    clock_mhz: float | None = None

    @property
    def bytes_per_second(self) -> float:
        """The bandwidth of the memory: that of the most bytes."""
        return self.bandwidths[max(self.bandwidths)]

    def floor_seconds(self, work: Work) -> float:
        """Return the least time that a computation can take, as operations and moving bytes may overlap."""
        # Of the sets no larger than what is gone through here: the rate is the true one or above it. What is
        # smaller than all of them may lie in a cache so near that its rate is not known: nothing is counted.
        sets = [size for size in self.bandwidths if size <= work.bytes]
        moving = work.bytes / self.bandwidths[max(sets)] if sets else 0.0
        return max(work.operations / self.operations_per_second, moving)

    def __str__(self) -> str:
        clock = "unknown" if self.clock_mhz is None else f"{self.clock_mhz:,.0f} MHz"
        return (
            f"{self.operations_per_second / 1e9:,.0f} GFLOP/s of float32 multiply-adds, "
            f"{self.bytes_per_second / 1e9:,.1f} GB/s of memory, clock {clock}"
        )


@dataclass(frozen=True)
class Work:
    """The least that a computation has to do.

    Attributes:
        operations: multiplications and additions, each counted as one.
        bytes: read and written, each counted once a call.

    """

    operations: float
    bytes: float = 0.0


def measure_rates(threads: int) -> Rates:
    """Measure the rates of the CPU with so many threads of torch; the bandwidth just once in a process."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        operations = fma_rate()
        clock = clock_mhz()  # right after the load, while the clock is what it was under it
        return Rates(operations, _bandwidths(threads), clock)
    finally:
        torch.set_num_threads(before)


@cache
def _bandwidths(threads: int) -> dict[int, float]:
    # Once a run: it takes seconds, and does not change with the clock of the CPUs.
    return memory_bandwidths()


def clock_mhz() -> float | None:
    """Return the clock of the CPUs just now, on average, as Linux tells it; None where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    fields = (line.partition(":") for line in lines)
    clocks = [float(value) for key, _, value in fields if key.strip() == "cpu MHz"]
    return sum(clocks) / len(clocks) if clocks else None
