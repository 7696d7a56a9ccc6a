"""The floor of a row's time: what the machine could do at best.

Nothing can be faster than its operations at the machine's rate of fused multiply-adds, nor than the bytes that it
must go through at the machine's bandwidth. A row's share of that floor says how much is left to be gained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
