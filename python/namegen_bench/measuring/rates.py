"""The machine's own rates, measured in the same run as everything else: see ``floor``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

from namegen_bench.measuring.bandwidth import memory_bandwidths
from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.fma_rate import fma_rate


def measure_rates(threads: int) -> Rates:
    """Measure the rates of the CPU with ``threads`` threads of torch; the bandwidths once in a process."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        operations = fma_rate()
        clock = clock_mhz()  # right after the load, before the clock changes
        return Rates(operations, _bandwidths(threads), clock)
    finally:
        torch.set_num_threads(before)


@cache
def _bandwidths(threads: int) -> dict[int, float]:
    # They are measured once, because that takes seconds, and they do not change with the clock of the CPUs.
    return memory_bandwidths()


def clock_mhz() -> float | None:
    """Return the average clock of the CPUs at this moment, as Linux reports it; None where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    fields = (line.partition(":") for line in lines)
    clocks = [float(value) for key, _, value in fields if key.strip() == "cpu MHz"]
    return sum(clocks) / len(clocks) if clocks else None
