"""What a CUDA device can do at best: its rate of multiply-adds in float32, and its bandwidths."""

from __future__ import annotations

import torch

from namegen_bench.measuring.floor import Rates
from namegen_bench.measuring.timing import Sampler
from namegen_bench.suites.gpu.gpu_peers import device_seconds

_SIZE = 4096  # of square matrices: large enough for every part of a device to have work
_FLOAT_BYTES = 4
# Read and written by a copy: what may lie in the device's own cache, and what no cache holds. Smaller copies take
# as long to start as to run.
_COPIED = (2**26, 2**30)
_CALLS, _REPEATS = 10, 5


def device_rates(device: str) -> Rates:
    """Measure the rates: the best of several tries, by the device's clock."""
    a, b = (torch.rand(_SIZE, _SIZE, device=device) for _ in range(2))
    product = torch.empty_like(a)

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(a, b, out=product)  # not in TF32, unless torch was told so

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
