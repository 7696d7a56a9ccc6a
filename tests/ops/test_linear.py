"""linear: against F.linear in float64 over shapes, strides and dtypes; derivatives; registration; refusals."""

from __future__ import annotations

import itertools
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor

from namegen_ext import ops

LIBRARY = torch.ops.namegen_ext
MASKS = [mask for mask in itertools.product([True, False], repeat=3) if any(mask)]


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def strided(tensor: Tensor, how: str) -> Tensor:
    """Return the same values, laid out otherwise."""
    if how == "transposed" and tensor.dim() >= 2:
        return tensor.transpose(-1, -2).contiguous().transpose(-1, -2)
    if how == "sliced" and tensor.dim() >= 1:
        wide = tensor.new_zeros(*tensor.shape[:-1], 2 * tensor.shape[-1] + 1)
        wide[..., 1::2] = tensor
        return wide[..., 1::2]
    return tensor


def check_close(found: Tensor, exact: Tensor, size: Tensor, terms: int, eps: float) -> None:
    """Compare within what rounding makes of a sum of ``terms`` products whose sizes add up to ``size``.

    Source: Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1.
    """
    assert found.shape == exact.shape
    assert ((found.double() - exact).abs() <= (terms + 2) * eps * size).all()


@settings(max_examples=150, deadline=None)
@given(
    lead=st.lists(st.integers(0, 9), max_size=3),
    sizes=st.tuples(st.integers(0, 70), st.integers(0, 70)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    layouts=st.tuples(*[st.sampled_from(["contiguous", "transposed", "sliced"])] * 3),
    has_bias=st.booleans(),
    mask=st.sampled_from(MASKS),
)
def test_linear_and_its_gradients(
    lead: list[int],
    sizes: tuple[int, int],
    dtype: torch.dtype,
    layouts: tuple[str, str, str],
    has_bias: bool,
    mask: tuple[bool, bool, bool],
) -> None:
    (inner, outer), eps = sizes, torch.finfo(dtype).eps
    x = normal(*lead, inner, dtype=dtype)
    weight, bias = normal(outer, inner, seed=1, dtype=dtype), normal(outer, seed=2, dtype=dtype)
    arguments = [strided(x, layouts[0]), strided(weight, layouts[1]), bias if has_bias else None]
    leaves = [
        None if argument is None else argument.detach().requires_grad_(is_wanted)
        for argument, is_wanted in zip(arguments, mask, strict=True)
    ]
    y = ops.linear(*leaves)

    rows = x.double().reshape(x.shape[:-1].numel(), inner)  # (N, K)
    b = bias.double() if has_bias else torch.zeros(outer, dtype=torch.float64)
    w = weight.double()
    check_close(
        y.detach(),
        (rows @ w.T + b).reshape(*lead, outer),
        (rows.abs() @ w.abs().T + b.abs()).reshape(*lead, outer),
        inner,
        eps,
    )
    assert y.dtype == dtype
    assert y.is_contiguous()
    if not (mask[0] or mask[1] or (mask[2] and has_bias)):
        assert not y.requires_grad
        return
    dy = normal(*y.shape, seed=3, dtype=dtype)
    y.backward(strided(dy, layouts[2]))
    d = dy.double().reshape(rows.shape[0], outer)  # (N, H)
    exact = [(d @ w).reshape(x.shape), d.T @ rows, d.sum(0)]
    size = [(d.abs() @ w.abs()).reshape(x.shape), d.abs().T @ rows.abs(), d.abs().sum(0)]
    terms = [outer, rows.shape[0], rows.shape[0]]
    for leaf, is_wanted, *expected in zip(leaves, mask, exact, size, terms, strict=True):
        if leaf is None:
            continue
        assert (leaf.grad is not None) == is_wanted
        if is_wanted:
            check_close(leaf.grad, *expected, eps)


def test_the_reference() -> None:
    x, weight, bias = normal(4, 3), normal(5, 3, seed=1), normal(5, seed=2)
    assert torch.equal(ops.linear_reference(x, weight, bias), F.linear(x, weight, bias))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lower_precision_is_torchs(dtype: torch.dtype) -> None:
    values = [normal(33, 20, dtype=dtype), normal(7, 20, seed=1, dtype=dtype), normal(7, seed=2, dtype=dtype)]
    leaves = [v.clone().requires_grad_() for v in values]
    expected = [v.clone().requires_grad_() for v in values]
    y, reference = ops.linear(*leaves), F.linear(*expected)
    assert torch.equal(y, reference)
    dy = normal(33, 7, seed=3, dtype=dtype)
    y.backward(dy)
    reference.backward(dy)
    for found, wanted in zip(leaves, expected, strict=True):
        # Sums of 33 products below 16 or fewer, in float32 and in another order; then rounded.
        sums = 33 * 33 * 16 * torch.finfo(torch.float32).eps
        torch.testing.assert_close(found.grad, wanted.grad, rtol=torch.finfo(dtype).eps, atol=sums)


@pytest.mark.parametrize("special", [float("nan"), float("inf"), float("-inf")])
def test_special_values_go_where_they_go_in_torch(special: float) -> None:
    x, weight = normal(20, 9, dtype=torch.float32), normal(18, 9, seed=1, dtype=torch.float32)
    x[3, 4] = special
    weight[17, 2] = special
    found, expected = ops.linear(x, weight), F.linear(x, weight)
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.isinf(), expected.isinf())


def test_the_bits_depend_neither_on_the_run_nor_on_threads() -> None:
    x, weight = normal(3000, 130, dtype=torch.float32), normal(70, 130, seed=1, dtype=torch.float32)
    dy = normal(3000, 70, seed=2, dtype=torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 1):
            torch.set_num_threads(threads)
            gradients = LIBRARY.linear_backward(dy, x, weight, [True] * 3)
            results.append([ops.linear(x, weight), *gradients])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


# ---- derivatives ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(9,), (2, 3), ()])
@pytest.mark.parametrize("has_bias", [True, False])
def test_gradcheck_once_and_twice(lead: tuple[int, ...], has_bias: bool) -> None:
    values = [normal(*lead, 4), normal(3, 4, seed=1), *([normal(3, seed=2)] if has_bias else [])]
    leaves = [v.requires_grad_() for v in values]
    assert torch.autograd.gradcheck(ops.linear, leaves)
    assert torch.autograd.gradgradcheck(ops.linear, leaves)


def test_forward_mode_and_functorch_are_refused() -> None:
    x, weight = normal(9, 4), normal(3, 4, seed=1)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, x)
        with pytest.raises(RuntimeError, match="jvp is not implemented for namegen_ext::linear"):
            ops.linear(dual, weight)
    with pytest.raises(RuntimeError, match="functorch"):
        torch.func.grad(lambda t: ops.linear(t, weight).sum())(x)


# ---- registration --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 4), (0, 4), (2, 3, 4), (4,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("grad", "has_bias"), [(True, True), (True, False), (False, True)])
def test_opcheck(shape: tuple[int, ...], dtype: torch.dtype, grad: bool, has_bias: bool) -> None:
    values = [normal(*shape, dtype=dtype), normal(3, 4, seed=1, dtype=dtype)]
    values += [normal(3, seed=2, dtype=dtype)] if has_bias else []
    torch.library.opcheck(LIBRARY.linear.default, tuple(v.requires_grad_(grad) for v in values))


@pytest.mark.parametrize("mask", MASKS)
def test_opcheck_backward(mask: tuple[bool, bool, bool]) -> None:
    arguments = normal(6, 2, 3), normal(6, 2, 4), normal(3, 4, seed=1), list(mask)
    torch.library.opcheck(LIBRARY.linear_backward.default, arguments)


def test_compile_keeps_the_operator() -> None:
    seen: list[Any] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> Any:
        seen.extend(node.target for node in graph.graph.nodes)
        return graph.forward

    x, weight, bias = normal(9, 4), normal(3, 4, seed=1), normal(3, seed=2)
    compiled = torch.compile(ops.linear, backend=backend, fullgraph=True)
    assert torch.equal(compiled(x, weight, bias), ops.linear(x, weight, bias))
    assert LIBRARY.linear.default in seen


def test_autocast_computes_in_the_lower_precision() -> None:
    x, weight, bias = (t.float() for t in (normal(9, 4), normal(3, 4, seed=1), normal(3, seed=2)))
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = ops.linear(x, weight, bias), F.linear(x, weight, bias)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)


# ---- what does not fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(())}, "x must have at least one dimension"),
        ({"x": torch.zeros(5, 3)}, r"x must have in_features = 4 .* but got x of shape \(5, 3\)"),
        ({"x": torch.zeros(5, 4, dtype=torch.int64)}, "x must be float32, float64, bfloat16 or float16"),
        ({"weight": torch.zeros(4)}, r"weight must be \(out_features, in_features\)"),
        ({"weight": torch.zeros(3, 4, dtype=torch.float64)}, "weight must have the dtype of x"),
        ({"weight": torch.zeros(3, 4, device="meta")}, "weight must be on the device of x"),
        ({"bias": torch.zeros(4)}, r"bias must be \(out_features,\) = \(3,\), but got bias of shape \(4\)"),
        ({"bias": torch.zeros(3, dtype=torch.float64)}, "bias must have the dtype of x"),
    ],
)
def test_a_wrong_argument_is_named(change: dict[str, Tensor], message: str) -> None:
    arguments = {"x": torch.zeros(5, 4), "weight": torch.zeros(3, 4), "bias": torch.zeros(3)} | change
    with pytest.raises(RuntimeError, match=message):
        ops.linear(**arguments)


def test_a_wrong_gradient_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"grad_output must have the shape of the output, \[5, 3\]"):
        LIBRARY.linear_backward(torch.zeros(5, 2), torch.zeros(5, 4), torch.zeros(3, 4), [True] * 3)
