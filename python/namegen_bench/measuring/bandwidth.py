"""How fast this machine reads and writes memory: the sum of two arrays into a third.

This is the "add" of McCalpin's STREAM benchmark ("Memory Bandwidth and Machine Balance in Current High Performance
Computers", 1995): two arrays are read, and one is written. The bytes of these three are counted. Most CPUs also read a
cache line before they write to it; STREAM does not count that, and neither does this.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

_SECONDS = 0.05  # passes over the same arrays are repeated for at least this long
_LEAST_PASSES = 4
_FLOAT_BYTES = 4
_ARRAYS = 3

MIB = 2**20
# Bytes of all three arrays together. The smallest set is a little larger than the cache of a single core.
_SMALLER_SETS = (4 * MIB, 16 * MIB, 64 * MIB)
# The largest set is four times the last-level cache, within these bounds. A virtual machine reports a cache of hundreds
# of MiB that it shares with others; one of its CPUs gets less of that cache than three arrays of 256 MiB fill.
_LEAST_LARGEST, _MOST_LARGEST = 192 * MIB, 768 * MIB
_CACHES = 4
_ASSUMED_CACHE = 32 * MIB  # taken where the system does not report the size of its caches


def memory_bandwidths() -> dict[int, float]:
    """Measure the bandwidth of sets of arrays of growing size, with torch's threads.

    Returns:
        Bytes per second, read and written bytes together, by the bytes of the set, from the smallest set to the
        largest. No cache holds the last set, so its rate is the bandwidth of the memory. The other rates are those of
        the caches that hold the sets.

    """
    return {size: bandwidth(size) for size in (*_SMALLER_SETS, largest_set())}


def largest_set() -> int:
    """Return how many bytes the arrays must have in all so that no cache holds them."""
    return min(max(_CACHES * cache_bytes(), _LEAST_LARGEST), _MOST_LARGEST)


def bandwidth(total_bytes: int) -> float:
    """Measure bytes per second over three arrays of ``total_bytes`` together: the best of several passes."""
    values = total_bytes // (_ARRAYS * _FLOAT_BYTES)
    a, b = torch.ones(values), torch.ones(values)
    total = torch.ones(values)  # filled, so that the system has given it its pages before the first pass
    best, passes, until = float("inf"), 0, time.perf_counter() + _SECONDS
    while passes < _LEAST_PASSES or time.perf_counter() < until:
        began = time.perf_counter()
        torch.add(a, b, out=total)
        best = min(best, time.perf_counter() - began)
        passes += 1
    return _ARRAYS * values * _FLOAT_BYTES / best


def cache_bytes() -> int:
    """Return the size of the largest cache of the first CPU in bytes, as Linux reports it; else an assumed size."""
    sizes = []
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        try:
            sizes.append(_bytes(file.read_text(encoding="ascii").strip()))
        except (OSError, ValueError):
            continue
    return max(sizes, default=_ASSUMED_CACHE)


def _bytes(text: str) -> int:
    """Read a size as the system writes it, such as "32768K"."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)
