"""How fast this machine reads and writes memory: the sum of two arrays into a third.

The "add" of McCalpin's STREAM benchmark ("Memory Bandwidth and Machine Balance in Current High Performance
Computers", 1995): two arrays are read, one is written. Counted are these three; that a written line is read
first, on most CPUs, is not, as STREAM does not either.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

_SECONDS = 0.05  # of passes over the same arrays, at the least
_LEAST_PASSES = 4
_FLOAT_BYTES = 4
_ARRAYS = 3

MIB = 2**20
# What the arrays have in all: from a little more than a CPU's own cache to ...
_SMALLER_SETS = (4 * MIB, 16 * MIB, 64 * MIB)
# ... four times the last-level cache, within these bounds. A virtual machine is told of a cache of hundreds of MiB
# that it shares with others; three arrays of 256 MiB are more than one of its CPUs gets of it.
_LEAST_LARGEST, _MOST_LARGEST = 192 * MIB, 768 * MIB
_CACHES = 4
_ASSUMED_CACHE = 32 * MIB  # where the system does not tell


def memory_bandwidths() -> dict[int, float]:
    """Measure bytes per second by how many bytes are gone through, with torch's threads.

    Returns:
        The rates, read and written bytes together, from the smallest set to the largest. The last, which no cache
        holds, is the bandwidth of the memory; the others are those of the caches that hold them.

    """
    return {size: bandwidth(size) for size in (*_SMALLER_SETS, largest_set())}


def largest_set() -> int:
    """Return how many bytes the arrays must have in all so that no cache holds them."""
    return min(max(_CACHES * cache_bytes(), _LEAST_LARGEST), _MOST_LARGEST)


def bandwidth(total_bytes: int) -> float:
    """Measure bytes per second over arrays of so many bytes in all: the best of several passes."""
    values = total_bytes // (_ARRAYS * _FLOAT_BYTES)
    a, b = torch.ones(values), torch.ones(values)
    total = torch.ones(values)  # written once, so that its pages are there
    best, passes, until = float("inf"), 0, time.perf_counter() + _SECONDS
    while passes < _LEAST_PASSES or time.perf_counter() < until:
        began = time.perf_counter()
        torch.add(a, b, out=total)
        best = min(best, time.perf_counter() - began)
        passes += 1
    return _ARRAYS * values * _FLOAT_BYTES / best


def cache_bytes() -> int:
    """Return the size of the largest cache that a CPU has a part in, as Linux tells it; else an assumed one."""
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
