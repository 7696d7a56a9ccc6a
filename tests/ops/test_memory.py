"""The peak of memory that a forward and backward pass allocates: never above the stock layers'.

Counted from the profiler's memory events, which see torch's allocator: not the MiB of scratch memory
that each thread keeps (csrc/ops/common.cpp). What the stock layers' matrix products pack for themselves it
doesn't see either.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from namegen_ext import ops


def peak_bytes(call: Callable[[], object]) -> int:
    """The most bytes that were live at once during a call, beyond those before it."""
    call()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    assert profiler.profiler is not None
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    assert most > 0, "the profiler saw no allocation"
    return most


SIZES = {  # batch, block, V, E, H
    "published, batch 32": (32, 3, 27, 10, 200),
    "published, batch 1024": (1024, 3, 27, 10, 200),
    "published, batch 16384": (16384, 3, 27, 10, 200),
    "large vocabulary": (256, 8, 5000, 64, 512),
    "as many rows as symbols": (2000, 3, 1000, 16, 64),
    "wide block": (500, 64, 100, 4, 50),
    "very large vocabulary": (32, 8, 50000, 64, 512),
    "narrow, large vocabulary": (32, 3, 5000, 10, 200),
    "many rows, large vocabulary": (4096, 8, 5000, 64, 512),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", SIZES)
def test_embedding_concat_linear(size: str, dtype: torch.dtype) -> None:
    batch, block, vocab, embed, hidden = SIZES[size]
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocab, (batch, block), generator=g)
    shapes = (vocab, embed), (hidden, block * embed), (hidden,)
    weights = [torch.randn(shape, generator=g).to(dtype).requires_grad_() for shape in shapes]
    dy = torch.randn(batch, hidden, generator=g).to(dtype)

    def peak(op: Callable[..., Tensor]) -> int:
        return peak_bytes(lambda: torch.autograd.grad(op(tokens, *weights), weights, dy))

    def inference_peak(op: Callable[..., Tensor]) -> int:
        with torch.no_grad():
            return peak_bytes(lambda: op(tokens, *weights))

    for measure in (peak, inference_peak):
        fused, stock = measure(ops.embedding_concat_linear), measure(ops.embedding_concat_linear_reference)
        assert fused <= stock, f"{measure.__name__}: {fused} bytes, the stock layers {stock}"


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [1024, 16384])
def test_batch_norm(rows: int, dtype: torch.dtype, activation: str) -> None:
    x = torch.randn(rows, 200).to(dtype).requires_grad_()
    weight, bias = (
        torch.ones(200, dtype=dtype).requires_grad_(),
        torch.zeros(200, dtype=dtype).requires_grad_(),
    )
    mean, var, dy = (
        torch.zeros(200, dtype=dtype),
        torch.ones(200, dtype=dtype),
        torch.randn(rows, 200).to(dtype),
    )

    def peak(op: Callable[..., Tensor]) -> int:
        def call() -> object:
            y = op(x, mean, var, weight, bias, True, 0.1, 1e-5, activation)
            return torch.autograd.grad(y, [x, weight, bias], dy)

        return peak_bytes(call)

    fused, stock = peak(ops.batch_norm), peak(ops.batch_norm_reference)
    # Without an activation both keep the output and dx; what is left are a few rows of statistics.
    assert fused <= stock + 64 * 200 * 8, f"{fused} bytes, the stock layer {stock}"
