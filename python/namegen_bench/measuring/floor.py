"""The floor of a time: the least that the work could take on this machine.

Nothing is faster than its operations at the machine's rate of fused multiply-adds, and nothing is faster than its bytes
at the machine's bandwidth:

    floor = max(operations / rate, bytes / bandwidth)

The floor over the measured time says how much is left to be gained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """A machine's rates at a number of threads.

    Attributes:
        operations_per_second: operations in float32 per second; a multiplication and an addition count as two.
        bandwidths: bytes per second, read and written bytes together, by the number of bytes that are gone through.
            It holds at least one.
        clock_mhz: the average clock of the CPUs right after they were measured; None where the system does not report
            it.

    """

    operations_per_second: float
    bandwidths: Mapping[int, float]
    clock_mhz: float | None = None

    @property
    def bytes_per_second(self) -> float:
        """The bandwidth of the memory, which is that of the most bytes."""
        return self.bandwidths[max(self.bandwidths)]

    def floor_seconds(self, work: Work) -> float:
        """Return the least time that a computation can take. Operations and moving bytes may overlap."""
        # The largest measured set that is no larger than these bytes gives a rate that is the true one or above it.
        # Fewer bytes than in the smallest set may lie in a nearer cache of an unknown rate. They count as nothing.
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
        bytes: bytes that must be read or written, each counted once per call.

    """

    operations: float
    bytes: float = 0.0
