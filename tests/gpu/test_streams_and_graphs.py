"""The same bits on every run; on other streams and devices; captured in CUDA graphs; the host never waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from on_device import same_bits
from torch import Tensor

from namegen_ext import ops

# For each operator, a call that takes tensors by name and returns all results.
Tensors = dict[str, Tensor]


def embedding_inputs(
    batch: int, dtype: torch.dtype, device: str = "cuda", vocab: int = 27, seed: int = 0
) -> Tensors:
    g = torch.Generator().manual_seed(seed)
    shapes = {"embedding": (vocab, 10), "weight": (200, 30), "bias": (200,), "dy": (batch, 200)}
    values = {name: torch.randn(shape, generator=g).to(dtype) for name, shape in shapes.items()}
    values["tokens"] = torch.randint(vocab, (batch, 3), generator=g)
    return {name: t.to(device) for name, t in values.items()}


def embedding(t: Tensors) -> list[Tensor]:
    leaves = [t[name].detach().requires_grad_() for name in ("embedding", "weight", "bias")]
    y = ops.embedding_concat_linear(t["tokens"], *leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, t["dy"])]


def batch_norm_inputs(rows: int, dtype: torch.dtype, device: str = "cuda", seed: int = 0) -> Tensors:
    g = torch.Generator().manual_seed(seed)
    shapes = {"x": (rows, 200), "dy": (rows, 200), "weight": (200,), "bias": (200,), "mean": (200,)}
    values = {name: torch.randn(shape, generator=g).to(dtype) for name, shape in shapes.items()}
    values["var"] = torch.ones(200, dtype=dtype)
    return {name: t.to(device) for name, t in values.items()}


def batch_norm(t: Tensors) -> list[Tensor]:
    leaves = [t[name].detach().requires_grad_() for name in ("x", "weight", "bias")]
    y = ops.batch_norm(leaves[0], t["mean"], t["var"], *leaves[1:], True, 0.1, 1e-5, "tanh")
    return [y.detach(), t["mean"], t["var"], *torch.autograd.grad(y, leaves, t["dy"])]


CALLS: dict[str, tuple[Callable[..., Tensors], Callable[[Tensors], list[Tensor]]]] = {
    "embedding_concat_linear": (embedding_inputs, embedding),
    "batch_norm": (batch_norm_inputs, batch_norm),
}
SIZES = (32, 1024, 20_001, 65_536)
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def cloned(t: Tensors) -> Tensors:
    return {name: value.clone() for name, value in t.items()}


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Let torch raise an error where the host would wait for the device."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", CALLS)
def test_same_bits_on_every_run(which: str, size: int, dtype: torch.dtype) -> None:
    make, call = CALLS[which]
    inputs = make(size, dtype)
    first = [t.clone() for t in call(cloned(inputs))]
    for _ in range(5):
        assert all(map(same_bits, first, call(cloned(inputs)))), "two runs differ"


@pytest.mark.parametrize("vocab", [27, 20_000], ids=["table", "plain product"])
def test_the_host_never_waits_for_embedding_concat_linear(vocab: int, no_waiting: None) -> None:
    torch.cuda.set_sync_debug_mode("default")
    inputs = embedding_inputs(1024, torch.float32, vocab=vocab)
    torch.cuda.set_sync_debug_mode("error")
    embedding(inputs)


def test_the_host_never_waits_for_batch_norm(no_waiting: None) -> None:
    torch.cuda.set_sync_debug_mode("default")
    inputs = batch_norm_inputs(20_000, torch.float32)
    torch.cuda.set_sync_debug_mode("error")
    batch_norm(inputs)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", CALLS)
def test_on_another_stream(which: str, size: int) -> None:
    # The inputs are written on the stream after a pause: kernels on another stream would see what was there before.
    make, call = CALLS[which]
    right, wrong = make(size, torch.float32), make(size, torch.float32, seed=1)
    expected = [t.clone() for t in call(cloned(right))]
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)  # cycles: some tens of milliseconds
        for name, value in wrong.items():
            value.copy_(right[name])
        found = call(wrong)
    stream.synchronize()
    assert all(map(same_bits, expected, found))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", CALLS)
def test_captured_in_a_graph_and_replayed(which: str, size: int) -> None:
    make, call = CALLS[which]
    static = make(size, torch.float32)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            call(cloned(static))
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = call(static)
    for seed in (1, 2):
        fresh = make(size, torch.float32, seed=seed)
        expected = [t.clone() for t in call(cloned(fresh))]
        for name, value in static.items():
            value.copy_(fresh[name])
        graph.replay()
        torch.cuda.synchronize()
        assert all(map(same_bits, expected, results)), f"replay {seed} differs from a plain call"


@pytest.mark.parametrize("which", CALLS)
def test_on_a_device_that_is_not_the_current_one(which: str) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip(f"needs two CUDA devices, and there is {torch.cuda.device_count()}")
    make, call = CALLS[which]
    expected = call(make(1024, torch.float32, device="cuda:1"))
    with torch.cuda.device(0):
        found = call(make(1024, torch.float32, device="cuda:1"))
        assert torch.cuda.current_device() == 0
    assert all(t.device == torch.device("cuda", 1) for t in found)
    assert all(map(same_bits, expected, found))


@pytest.mark.parametrize("argument", ["tokens", "weight"])
def test_tensors_on_different_devices_are_refused(argument: str) -> None:
    inputs = embedding_inputs(8, torch.float32)
    inputs[argument] = inputs[argument].cpu()
    with pytest.raises(RuntimeError, match="must be on the device of embedding_weight"):
        embedding(inputs)
