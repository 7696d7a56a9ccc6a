"""The peak of memory that a forward and backward pass allocates: never above the stock layers'.

Counted from the profiler's memory events, which see torch's allocator: not the MiB of scratch memory that each thread
keeps (csrc/torch/ops/operator_support.cpp). What the stock layers' matrix products pack for themselves it doesn't see
either.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from namegen_ext import ops
from namegen_ext.fusion import fuse

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


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


@pytest.mark.parametrize("dtype", DTYPES)
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [name for name in SIZES if name.startswith("published")])
def test_embedding_concat_linear_batch_norm(size: str, dtype: torch.dtype) -> None:
    # What its kernels compute; in all other cases modules call the two operators that it is made of.
    batch, block, vocab, embed, hidden = SIZES[size]
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocab, (batch, block), generator=g)
    dy = torch.randn(batch, hidden, generator=g).to(dtype)
    layers = [
        nn.Embedding(vocab, embed, dtype=dtype),
        nn.Flatten(),
        nn.Linear(block * embed, hidden, dtype=dtype),
        nn.BatchNorm1d(hidden, dtype=dtype),
        nn.Tanh(),
    ]
    stock, fused = nn.Sequential(*layers), nn.Sequential(*layers)
    fuse(fused)

    def peak(model: nn.Module) -> int:
        return peak_bytes(lambda: torch.autograd.grad(model(tokens), list(model.parameters()), dy))

    found, allowed = peak(fused), peak(stock)
    assert found <= allowed, f"{found} bytes, the stock layers {allowed}"


@settings(max_examples=150)
@given(st.data())
def test_embedding_concat_linear_of_any_size(data: st.DataObject) -> None:
    """Where a kernel would take more than the stock layers, torch's products take its place."""
    draw = data.draw
    batch = draw(st.sampled_from([1, 2, 7, 32, 100, 512, 2000, 5000]))
    block = draw(st.sampled_from([1, 2, 3, 8, 33, 64]))
    vocab = draw(st.sampled_from([2, 27, 256, 1000, 5000, 50000]))
    embed = draw(st.sampled_from([1, 2, 5, 10, 16, 64, 128]))
    hidden = draw(st.sampled_from([1, 7, 50, 64, 200, 512, 1024]))
    assume(batch * block * embed * hidden < 1e8 and vocab * embed < 2e6 and block * embed * hidden < 4e6)
    dtype = draw(st.sampled_from(DTYPES))
    activation = draw(st.sampled_from(["none", "tanh"]))
    occurring = draw(st.sampled_from([vocab, min(vocab, 5)]))
    tokens = torch.arange(batch * block).view(batch, block) * 7919 % occurring
    shapes = (vocab, embed), (hidden, block * embed), (hidden,)
    weights = [torch.full(shape, 0.01, dtype=dtype) for shape in shapes]
    # In low precision torch multiplies a transposed weight in the other order, with other buffers.
    if dtype in (torch.float32, torch.float64) and draw(st.booleans()):
        weights[1] = weights[1].t().contiguous().t()
    wanted = [w.requires_grad_() for w in weights if draw(st.booleans())]
    dy = torch.ones(1, 1, dtype=dtype).expand(batch, hidden)  # as of a sum
    if draw(st.booleans()):
        dy = dy.contiguous()

    def peak(op: Callable[..., Tensor]) -> int:
        return peak_bytes(lambda: torch.autograd.grad(op(tokens, *weights, activation), wanted, dy))

    def inference_peak(op: Callable[..., Tensor]) -> int:
        with torch.no_grad():
            return peak_bytes(lambda: op(tokens, *weights, activation))

    for measure in (peak, inference_peak) if wanted else (inference_peak,):
        fused, stock = measure(ops.embedding_concat_linear), measure(ops.embedding_concat_linear_reference)
        assert fused <= stock, f"{measure.__name__}: {fused} bytes, the stock layers {stock}"


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "size", [(2, 1), (32, 200), (1024, 200), (16384, 200), (1000, 7), (4, 20000), (4096, 5000), (2, 100000)]
)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("expanded", [True, False])
def test_batch_norm(
    size: tuple[int, int], dtype: torch.dtype, activation: str, training: bool, expanded: bool
) -> None:
    rows, channels = size
    x = torch.randn(rows, channels).to(dtype).requires_grad_()
    weight, bias = (
        torch.ones(channels, dtype=dtype).requires_grad_(),
        torch.zeros(channels, dtype=dtype).requires_grad_(),
    )
    mean, var, dy = (
        torch.zeros(channels, dtype=dtype),
        torch.ones(channels, dtype=dtype),
        torch.randn(1, 1 if expanded else channels).to(dtype).expand(rows, channels),
    )
    dy = dy if expanded else dy.contiguous()

    def peak(op: Callable[..., Tensor]) -> int:
        def call() -> object:
            y = op(x, mean, var, weight, bias, training, 0.1, 1e-5, activation)
            return torch.autograd.grad(y, [x, weight, bias], dy)

        return peak_bytes(call)

    def inference_peak(op: Callable[..., Tensor]) -> int:
        with torch.no_grad():
            return peak_bytes(lambda: op(x, mean, var, weight, bias, training, 0.1, 1e-5, activation))

    # For an expanded gradient, torch's batch norm takes another path, which holds a few values less for each channel.
    spared = 3 * channels * max(dtype.itemsize, 4) if expanded and activation == "none" else 0
    for measure in (peak, inference_peak):
        fused, stock = measure(ops.batch_norm), measure(ops.batch_norm_reference)
        assert fused <= stock + spared, f"{measure.__name__}: {fused} bytes, the stock layers {stock}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # torch computes the other dtypes
@pytest.mark.parametrize(
    "size", [(8, 200, 27), (32, 64, 256), (100, 1024, 1024), (40, 5000, 300), (64, 300, 5000)]
)
@pytest.mark.parametrize("layout", ["contiguous", "x", "weight", "dy", "dimensions"])
def test_linear(size: tuple[int, int, int], layout: str, dtype: torch.dtype) -> None:
    rows, in_features, out_features = size
    x = torch.randn(rows, in_features).to(dtype)
    weight = torch.randn(out_features, in_features).to(dtype)
    bias = torch.zeros(out_features, dtype=dtype).requires_grad_()
    dy = torch.randn(rows, out_features).to(dtype)
    if layout == "x":
        x = x.t().contiguous().t()
    elif layout == "weight":
        weight = weight.t().contiguous().t()
    elif layout == "dy":
        dy = dy[:1, :1].expand_as(dy)
    elif layout == "dimensions":
        x, dy = x.view(2, -1, in_features).transpose(0, 1), dy.view(-1, 2, out_features)
    x.requires_grad_()
    weight.requires_grad_()

    def peak(op: Callable[..., Tensor]) -> int:
        return peak_bytes(lambda: torch.autograd.grad(op(x, weight, bias), [x, weight, bias], dy))

    def inference_peak(op: Callable[..., Tensor]) -> int:
        with torch.no_grad():
            return peak_bytes(lambda: op(x, weight, bias))

    for measure in (peak, inference_peak):
        fused, stock = measure(torch.ops.namegen_ext.linear), measure(torch.nn.functional.linear)
        # The operator copies an expanded gradient once for both products. torch copies it twice, but not for the sum.
        spared = bias.nbytes if layout == "dy" else 0
        assert fused <= stock + spared, f"{measure.__name__}: {fused} bytes, the stock layer {stock}"
