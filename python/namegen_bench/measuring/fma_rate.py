"""How fast this machine multiplies and adds float32 values in registers, with the widest instructions in use.

No step can be faster than its operations at this rate, on the same threads in the same minute. The product of two
large matrices stays below it: on one maker's CPUs torch's library reaches two fifths of this rate.
"""

from __future__ import annotations

import time

from namegen_ext._native.core import _core

_ROUNDS = 200_000  # about half a millisecond
_REPEATS = 100
_WARM_UP_SECONDS = 0.1


def fma_rate() -> float:
    """Measure operations per second with torch's threads; a multiplication and an addition count as two.

    It is the best of many runs, because whatever else runs on the machine can only slow a run down.
    """
    until = time.perf_counter() + _WARM_UP_SECONDS
    while time.perf_counter() < until:
        _core.multiply_adds(_ROUNDS)
    best = 0.0
    for _ in range(_REPEATS):
        began = time.perf_counter()
        operations = _core.multiply_adds(_ROUNDS)
        best = max(best, operations / (time.perf_counter() - began))
    return best
