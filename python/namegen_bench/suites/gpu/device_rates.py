"""The rates of a CUDA device: multiply-adds in float32, and bandwidths."""

from __future__ import annotations

import torch

from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.timing import Sampler
from namegen_bench.suites.gpu.gpu_peers import device_seconds

_SIZE = 4096  # rows and columns of the square matrices, enough work for every part of a device
_FLOAT_BYTES = 4
# Bytes that a copy reads and writes together. The first may lie in the device's own cache; no cache holds the second.
# A smaller copy would take as long to start as to run.
_COPIED = (2**26, 2**30)
_CALLS, _REPEATS = 10, 5


def device_rates(device: str) -> Rates:
    """Measure the rates by the device's clock. Each is the best of several tries."""
    a, b = (torch.rand(_SIZE, _SIZE, device=device) for _ in range(2))
    product = torch.empty_like(a)

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(a, b, out=product)  # in float32: torch takes TF32 only where it was told to

    operations = 2 * _SIZE**3 / _best_seconds(multiply)
    return Rates(operations, {moved: moved / _best_seconds(_copier(moved, device)) for moved in _COPIED})


def _copier(moved: int, device: str) -> Sampler:
    source = torch.ones(moved // 2 // _FLOAT_BYTES, device=device)
    target = torch.empty_like(source)

    def copy(times: int) -> None:
        for _ in range(times):
            target.copy_(source)

    return copy


def _best_seconds(work: Sampler) -> float:
    work(1)  # warm-up
    return min(device_seconds(work, _CALLS) / _CALLS for _ in range(_REPEATS))
