"""How fast this machine multiplies and adds: float32 in registers, with the widest instructions in use.

No step can be faster than its operations at this rate, on the same threads in the same minute. The product of two
large matrices stays below it: torch's library has it at two fifths of this rate on one maker's CPUs.
"""

from __future__ import annotations

import time

from namegen_ext._native.core import _core

_ROUNDS = 200_000  # about half a millisecond
_REPEATS = 100
_WARM_UP_SECONDS = 0.1


def fma_rate() -> float:
    """Measure operations per second, a multiplication and an addition being two, with torch's threads.

    The best of many runs: what others do on the machine meanwhile only ever slows one down.
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
