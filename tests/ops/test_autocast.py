"""Under autocast on the CPU: the dtypes of the stock layers, and values no worse than twice theirs."""

from __future__ import annotations

from collections.abc import Callable

import op_bounds
import pytest
import torch
from op_inputs import check_low_precision
from torch import Tensor

from namegen_ext import ops

LOW = [torch.bfloat16, torch.float16]


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def under_autocast(
    op: Callable[..., Tensor], low: torch.dtype, leaves: list[Tensor], dy: Tensor, *rest
) -> list[Tensor]:
    """The output and the gradients of the leaves, the forward pass under autocast."""
    leaves = [t.detach().clone().requires_grad_() for t in leaves]
    with torch.autocast("cpu", dtype=low):
        y = op(*leaves, *rest)
    y.backward(dy.to(y.dtype))
    return [y.detach(), *(t.grad for t in leaves)]


@pytest.mark.parametrize("low", LOW)
@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("batch", [3, 64])
@pytest.mark.parametrize("given_dtype", [torch.float32, torch.float64, "low"])
def test_embedding_concat_linear(given_dtype, batch: int, activation: str, low: torch.dtype) -> None:
    dtype = low if given_dtype == "low" else given_dtype
    tokens = torch.randint(27, (batch, 3), generator=torch.Generator().manual_seed(0))
    leaves = [
        normal(27, 10, seed=1, dtype=dtype),
        normal(40, 30, seed=2, dtype=dtype) / 5,
        normal(40, seed=3, dtype=dtype),
    ]
    dy = normal(batch, 40, seed=4, dtype=low)

    found, stock = (
        under_autocast(lambda *w, op=op: op(tokens, *w, activation), low, leaves, dy)
        for op in (ops.embedding_concat_linear, ops.embedding_concat_linear_reference)
    )
    exact = op_bounds.embedding_concat_linear(tokens, *leaves, activation, dy)
    names = ("output", "embedding_weight", "linear_weight", "linear_bias")
    for name, f, s in zip(names, found, stock, strict=True):
        assert f.dtype == s.dtype
        if dtype == torch.float64:  # autocast leaves float64 alone
            exact[name].check(f, name)
        else:
            check_low_precision(f, s, exact[name].value, 2 if name == "output" else 3, name, low)


@pytest.mark.parametrize("low", LOW)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("x_is_low", [True, False])
def test_batch_norm(x_is_low: bool, training: bool, low: torch.dtype) -> None:
    x = normal(50, 20, seed=1, dtype=low if x_is_low else torch.float32)
    leaves = [x, normal(20, seed=2), normal(20, seed=3)]
    dy = normal(50, 20, seed=4, dtype=low)
    found, stock = (
        under_autocast(
            lambda a, w, b, op=op: op(a, torch.zeros(20), torch.ones(20), w, b, training, 0.1, 1e-5, "tanh"),
            low,
            leaves,
            dy,
        )
        for op in (ops.batch_norm, ops.batch_norm_reference)
    )
    exact = op_bounds.batch_norm(
        x, torch.zeros(20), torch.ones(20), *leaves[1:], training, 0.1, 1e-5, "tanh", dy
    )
    for name, f, s in zip(("output", "x", "weight", "bias"), found, stock, strict=True):
        check_low_precision(
            f, s, exact[name].value, 2 if name == "output" else 3, name, low if x_is_low else None
        )


def test_one_after_the_other_and_a_step_with_float32_parameters() -> None:
    table, weight = torch.nn.Parameter(normal(27, 10, seed=1)), torch.nn.Parameter(normal(40, 30, seed=2))
    tokens = torch.randint(27, (16, 3), generator=torch.Generator().manual_seed(0))
    mean, var = torch.zeros(40), torch.ones(40)
    optimizer = torch.optim.SGD([table, weight], lr=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = ops.embedding_concat_linear(tokens, table, weight, None, "none")
        y = ops.batch_norm(z, mean, var, torch.ones(40), torch.zeros(40), True, 0.1, 1e-5, "tanh")
    assert z.dtype == y.dtype == torch.bfloat16
    y.float().square().sum().backward()
    assert table.grad.dtype == weight.grad.dtype == mean.dtype == torch.float32
    before = table.detach().clone()
    optimizer.step()
    assert not torch.equal(table, before)


def test_disabled_region_inside() -> None:
    table, weight = normal(5, 2, seed=1), normal(3, 4, seed=2)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.autocast("cpu", enabled=False):
        assert ops.embedding_concat_linear(torch.tensor([[0, 1]]), table, weight).dtype == torch.float32
