"""How fast this machine multiplies and adds: a float32 matrix product in torch, of a shape that suits it.

Nothing that is written for a whole step can be faster than its operations at this rate, on the same threads in
the same minute; it stands in for the rate of the machine's fused multiply-add instructions, which it comes
close to, as the product of large square matrices is what BLAS libraries are tuned for.
"""

from __future__ import annotations

import time

import torch

_SIZE = 512  # three matrices of a MiB: they stay in the second-level cache, or near it
_REPEATS = 40  # of about 2 ms each
_WARM_UP_SECONDS = 0.1


def matmul_rate() -> float:
    """Measure operations per second, a multiplication and an addition being two, with torch's threads.

    The best of many products: what others do on the machine meanwhile only ever slows one down.
    """
    a, b = torch.rand(_SIZE, _SIZE), torch.rand(_SIZE, _SIZE)
    product = torch.empty(_SIZE, _SIZE)
    until = time.perf_counter() + _WARM_UP_SECONDS
    while time.perf_counter() < until:
        torch.mm(a, b, out=product)
    best = float("inf")
    for _ in range(_REPEATS):
        began = time.perf_counter()
        torch.mm(a, b, out=product)
        best = min(best, time.perf_counter() - began)
    return 2 * _SIZE**3 / best
