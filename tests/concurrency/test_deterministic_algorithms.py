"""torch.use_deterministic_algorithms: nothing here needs it, and nothing here refuses it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from work import engine_training, layer_training, op_calls, same_bits

import namegen_ext


@contextmanager
def deterministic(warn_only: bool) -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("warn_only", [False, True])
def test_the_same_bits_and_no_warning(warn_only: bool) -> None:
    expected = [op_calls(), layer_training(), engine_training()]
    with deterministic(warn_only), warnings.catch_warnings():
        warnings.simplefilter("error")
        # torch fills new memory with NaN in this mode: what is never written would show.
        assert torch.utils.deterministic.fill_uninitialized_memory
        results = [op_calls(), layer_training(), engine_training()]
    for got, wanted in zip(results, expected, strict=True):
        assert same_bits(got, wanted)


@pytest.mark.parametrize("warn_only", [False, True])
def test_second_derivatives(warn_only: bool) -> None:
    """They are torch's own operators, index_add among them."""

    def call() -> list[torch.Tensor]:
        g = torch.Generator().manual_seed(0)
        tokens = torch.randint(7, (50, 2), generator=g)
        leaves = [
            torch.randn(shape, generator=g, dtype=torch.float64).requires_grad_()
            for shape in ((7, 3), (5, 6))
        ]
        y = namegen_ext.ops.embedding_concat_linear(tokens, *leaves)
        y = namegen_ext.ops.batch_norm(y, None, None, None, None, True, 0.1, 1e-5, "tanh")
        first = torch.autograd.grad(y.square().sum(), leaves, create_graph=True)
        return list(torch.autograd.grad(sum(f.square().sum() for f in first), leaves))  # type: ignore[arg-type]

    expected = call()
    with deterministic(warn_only), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same_bits(call(), expected)
