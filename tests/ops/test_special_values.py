"""NaN, infinities, signed zeros and denormals: where the stock layers have them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from namegen_ext import ops

NAN, INF = math.nan, math.inf


def kinds(t: Tensor) -> Tensor:
    """0 for a finite number, 1 and -1 for the infinities, 2 for NaN."""
    return torch.where(t.isnan(), 2, torch.where(t.isinf(), t.sign(), 0)).int()


def assert_same_kinds(found: Tensor, expected: Tensor, name: str) -> None:
    assert torch.equal(kinds(found), kinds(expected)), f"{name}: {found} instead of {expected}"


def sprinkle(t: Tensor, value: float, generator: torch.Generator) -> Tensor:
    result = t.clone()
    result.view(-1)[torch.randint(t.numel(), (1,), generator=generator)] = value
    return result


DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
# The batches reach the table, the dot products and the packed product.
SIZES = {"table": (40, 3, 7, 5), "dots": (3, 8, 40, 9), "product": (50, 2, 1000, 6)}


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("where", ["embedding_weight", "linear_weight", "linear_bias", "grad_output"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_embedding_concat_linear(
    value: float, where: str, size: str, dtype: torch.dtype, activation: str
) -> None:
    batch, block, vocab, embed = SIZES[size]
    for seed in range(3):
        g = torch.Generator().manual_seed(seed)
        tokens = torch.randint(vocab, (batch, block), generator=g)
        values = {
            "embedding_weight": torch.randn(vocab, embed, generator=g).to(dtype),
            "linear_weight": (torch.randn(21, block * embed, generator=g) / 10).to(dtype),
            "linear_bias": torch.randn(21, generator=g).to(dtype),
            "grad_output": torch.randn(batch, 21, generator=g).to(dtype),
        }
        if where == "embedding_weight":
            used = int(tokens.flatten()[0])  # of a symbol that occurs
            values[where][used] = sprinkle(values[where][used], value, g)
        else:
            values[where] = sprinkle(values[where], value, g)
        results = []
        for op in (ops.embedding_concat_linear, ops.embedding_concat_linear_reference):
            # The stock layers in float32: PyTorch's bfloat16 product lets a NaN spill into other rows.
            compute = dtype if op is ops.embedding_concat_linear or dtype == torch.float64 else torch.float32
            *weights, dy = (t.clone().to(compute) for t in values.values())
            weights = [w.requires_grad_() for w in weights]
            y = op(tokens, *weights, activation)
            y.backward(dy)
            results.append([y.detach(), *(w.grad for w in weights)])
        assert_same_kinds(results[0][0], results[1][0], "output")
        for found, expected, name in zip(results[0][1:], results[1][1:], list(values)[:3], strict=True):
            # Where infinite gradients of both signs cancel depends on the order of the sums; a NaN does not.
            if math.isnan(value) or where == "grad_output":
                assert_same_kinds(found, expected, f"gradient of {name}")
            else:
                assert torch.equal(found.isfinite(), expected.isfinite()), f"gradient of {name}"


def test_rows_of_symbols_that_do_not_occur_are_not_read() -> None:
    table = torch.tensor([[1.0, 2.0], [NAN, NAN], [INF, -INF]], requires_grad=True)
    for batch in (1, 8):
        y = ops.embedding_concat_linear(torch.zeros(batch, 2, dtype=torch.int64), table, torch.ones(3, 4))
        (grad,) = torch.autograd.grad(y.sum(), table)
        assert bool(y.isfinite().all())
        assert bool(grad.isfinite().all())
        assert torch.equal(grad[1:], torch.zeros(2, 2))


PLACES = ["x", "running_mean", "running_var", "weight", "bias", "grad_output"]
# An infinite weight before tanh: 1 here and NaN from PyTorch, whose formula subtracts infinities.
PLACED = [
    (where, value, activation)
    for where in PLACES
    for value in (NAN, INF, -INF)
    for activation in ("none", "tanh")
    if not (where == "weight" and math.isinf(value) and activation == "tanh")
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("where", "value", "activation"), PLACED)
def test_batch_norm(where: str, value: float, activation: str, training: bool, dtype: torch.dtype) -> None:
    for seed, rows in enumerate((4, 40, 300)):
        g = torch.Generator().manual_seed(seed)
        values = {
            "x": torch.randn(rows, 19, generator=g).to(dtype),
            "running_mean": torch.randn(19, generator=g).to(dtype),
            "running_var": torch.ones(19).to(dtype),
            "weight": torch.randn(19, generator=g).to(dtype),
            "bias": torch.randn(19, generator=g).to(dtype),
            "grad_output": torch.randn(rows, 19, generator=g).to(dtype),
        }
        values[where] = sprinkle(values[where], value, g)
        results = []
        for op in (ops.batch_norm, ops.batch_norm_reference):
            x, mean, var, weight, bias, dy = (t.clone() for t in values.values())
            leaves = [t.requires_grad_() for t in (x, weight, bias)]
            y = op(x, mean, var, weight, bias, training, 0.1, 1e-5, activation)
            y.backward(dy)
            results.append([y.detach(), mean, var, *(t.grad for t in leaves)])
        names = (
            "output",
            "running_mean",
            "running_var",
            "gradient of x",
            "gradient of weight",
            "gradient of bias",
        )
        # Which of NaN and infinity comes of inf - inf and inf * 0 depends on how the same formula is written:
        # PyTorch computes x * (w * s) + (b - mean * w * s), where an infinite weight turns finite x to NaN,
        # and pieces of an infinite x are merged by their difference here.
        by_formula = where == "weight" or (where == "x" and training)
        for found, expected, name in zip(*results, names, strict=True):
            if math.isnan(value) or not (by_formula or name.startswith("gradient")) or where == "grad_output":
                assert_same_kinds(found, expected, name)
            else:
                assert torch.equal(found.isfinite(), expected.isfinite()), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_of_special_values(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps  # the smallest denormal
    values = torch.tensor([0.0, smallest, 3 * smallest, info.tiny, 1e3, info.max, INF], dtype=torch.float64)
    bias = torch.cat([values, -values, torch.tensor([NAN], dtype=torch.float64)]).to(dtype)
    # An embedding of 1 by a weight that holds the value: the sum is the value itself, however it is formed.
    found = ops.embedding_concat_linear(torch.tensor([[0]]), torch.ones(1, 1, dtype=dtype), bias[:, None])[0]
    expected = torch.tanh(bias)
    assert torch.equal(found.isnan(), expected.isnan())
    kept = ~expected.isnan()
    assert torch.equal(found[kept], expected[kept])


@pytest.mark.parametrize("dtype", DTYPES)
def test_negative_zero_passes_batch_norm(dtype: torch.dtype) -> None:
    # (-0 - 0) * 1 + -0 = -0, and tanh keeps the sign.
    x = torch.full((3, 20), -0.0, dtype=dtype)
    zeros, ones = torch.zeros(20, dtype=dtype), torch.ones(20, dtype=dtype)
    y = ops.batch_norm(x, zeros, ones, ones, -zeros, False, 0.1, 0.0, "tanh")
    assert bool((y == 0).all())
    assert bool(y.signbit().all())


def test_output_of_tanh_never_exceeds_one() -> None:
    # Otherwise the derivative 1 - y^2 would be negative.
    z = torch.linspace(-12, 12, 200_001)
    y = ops.batch_norm(z[:, None], torch.zeros(1), torch.ones(1), None, None, False, 0.1, 0.0, "tanh")
    assert float(y.abs().max()) <= 1.0
