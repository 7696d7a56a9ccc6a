"""The same bits on every run and for any number of threads, at sizes that are split between threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from namegen_ext import ops

Threads = Callable[[int], AbstractContextManager[None]]

# batch, block, V, E, H, dtype: by table in one chunk and in many, by the packed product (in bfloat16 torch's,
# where the CPU has one), by dot products.
EMBEDDING = {
    "table": (16384, 3, 27, 10, 200, torch.float32),
    "table, odd sizes": (5001, 3, 27, 10, 67, torch.float64),
    "table, many rows": (6000, 3, 900, 16, 100, torch.bfloat16),
    "product": (5000, 3, 20_000, 16, 100, torch.float32),
    "product, deep": (256, 8, 5000, 64, 512, torch.float32),
    "product in low precision": (256, 8, 5000, 64, 512, torch.bfloat16),
    # oneDNN splits such a sum, in a way that depends on the number of threads.
    "deep product in low precision": (4096, 8, 5000, 80, 512, torch.bfloat16),
    "product without room": (200, 1, 5, 5000, 500, torch.float32),
    "product without room in low precision": (200, 1, 5, 5000, 500, torch.float16),
    "dots": (32, 8, 5000, 64, 512, torch.float32),
}
BATCH_NORM = {
    "published width": (20_000, 200, torch.float32),
    "odd width": (5003, 33, torch.float64),
    "half": (9000, 100, torch.float16),
}


def same_bits(a: Tensor, b: Tensor) -> bool:
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    return torch.equal(a.view(integers), b.view(integers))


def check(call: Callable[[], list[Tensor]], threads: Threads) -> None:
    with threads(1):
        first, again = call(), call()
    assert all(map(same_bits, first, again)), "two runs differ"
    for count in (2, 3, 16, 2):
        with threads(count):
            assert all(map(same_bits, first, call())), f"{count} threads differ from one"


@pytest.mark.parametrize("size", EMBEDDING)
def test_embedding_concat_linear(size: str, threads: Threads) -> None:
    batch, block, vocab, embed, hidden, dtype = EMBEDDING[size]
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocab, (batch, block), generator=g)
    shapes = (vocab, embed), (hidden, block * embed), (hidden,)
    weights = [torch.randn(shape, generator=g).to(dtype).requires_grad_() for shape in shapes]
    dy = torch.randn(batch, hidden, generator=g).to(dtype)

    def call() -> list[Tensor]:
        y = ops.embedding_concat_linear(tokens, *weights)
        return [y.detach(), *torch.autograd.grad(y, weights, dy)]

    check(call, threads)


@pytest.mark.parametrize("size", BATCH_NORM)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(size: str, training: bool, threads: Threads) -> None:
    rows, channels, dtype = BATCH_NORM[size]
    g = torch.Generator().manual_seed(0)
    x = torch.randn(rows, channels, generator=g).to(dtype).requires_grad_()
    leaves = [torch.randn(channels, generator=g).to(dtype).requires_grad_() for _ in range(2)]
    dy = torch.randn(rows, channels, generator=g).to(dtype)

    def call() -> list[Tensor]:
        mean, var = torch.zeros(channels, dtype=dtype), torch.ones(channels, dtype=dtype)
        y = ops.batch_norm(x, mean, var, *leaves, training, 0.1, 1e-5, "tanh")
        return [y.detach(), mean, var, *torch.autograd.grad(y, [x, *leaves], dy)]

    check(call, threads)


def test_from_several_python_threads_at_once(threads: Threads) -> None:
    # Scratch memory belongs to the calling thread: calls at the same time must not share it.
    from concurrent.futures import ThreadPoolExecutor

    g = torch.Generator().manual_seed(0)
    tokens = [torch.randint(27, (64, 3), generator=g) for _ in range(8)]
    table, weight = torch.randn(27, 10, generator=g), torch.randn(200, 30, generator=g)

    def call(index: Tensor) -> Tensor:
        w = weight.clone().requires_grad_()
        for _ in range(50):
            y = ops.embedding_concat_linear(index, table, w)
            (grad,) = torch.autograd.grad(y.sum(), w)
        return torch.cat([y.detach().flatten(), grad.flatten()])

    with threads(1):
        expected = [call(t) for t in tokens]
        with ThreadPoolExecutor(4) as pool:
            assert all(map(same_bits, pool.map(call, tokens), expected))
