"""embedding_concat_linear on a CUDA device against float64 on the CPU, over the cases of the CPU's tests."""

from __future__ import annotations

import low_precision
import op_bounds
import pytest
import test_embedding_concat_linear as cpu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from on_device import on_device
from torch import Tensor

from namegen_ext import ops


def run(case: cpu.Case, dtype: torch.dtype, op=ops.embedding_concat_linear) -> dict[str, Tensor]:
    """The output and the gradients, on the CPU; checks that no input was changed."""
    tokens, embedding, weight, bias, dy = (None if t is None else on_device(t) for t in case.tensors(dtype))
    inputs = [t for t in (tokens, embedding, weight, bias, dy) if t is not None]
    before = [t.detach().clone() for t in inputs]
    index = tokens.long() if op is ops.embedding_concat_linear_reference else tokens
    output = op(index, embedding, weight, bias, case.activation)
    output.backward(dy)
    assert all(map(torch.equal, before, (t.detach() for t in inputs))), "an input was changed"
    found = {"output": output.detach().cpu()}
    for name, leaf in zip(cpu.NAMES, (embedding, weight, bias), strict=True):
        if leaf is not None:
            assert leaf.grad is not None
            found[name] = leaf.grad.cpu()
    return found


def check(case: cpu.Case, dtype: torch.dtype) -> None:
    tokens, embedding, weight, bias, dy = case.tensors(dtype)
    expected = op_bounds.embedding_concat_linear(tokens, embedding, weight, bias, case.activation, dy)
    for name, value in run(case, dtype).items():
        assert value.dtype == dtype
        expected[name].check(value, f"{name} of {case}")


def check_low(case: cpu.Case, dtype: torch.dtype) -> None:
    tokens, embedding, weight, bias, dy = case.tensors(dtype)
    in_float32 = [None if t is None else t.detach().float() for t in (embedding, weight, bias)]
    exact = op_bounds.embedding_concat_linear(tokens, *in_float32, case.activation, dy)
    passed_on = low_precision.passed_on_by_embedding_concat_linear(tokens, embedding, weight, dy)
    stock = run(case, dtype, ops.embedding_concat_linear_reference)
    for name, value in run(case, dtype).items():
        assert value.dtype == dtype
        factor = 2 if name == "output" else 3
        low_precision.check(
            value, stock[name], exact[name], passed_on.get(name), factor, dtype, f"{name} of {case}"
        )


# Beside the CPU's: the table in scratch memory, several chunks, slabs of odd widths.
NAMED = {
    **cpu.NAMED,
    "table in scratch memory": cpu.Case((4096,), 8, 700, 32, 256),
    "several chunks": cpu.Case((20_000,), 3, 27, 10, 200),
    "odd width, several chunks": cpu.Case((9000,), 3, 27, 10, 201),
    "wide": cpu.Case((300,), 2, 40, 8, 3000),
    "many positions at a time": cpu.Case((100,), 40, 60, 6, 64),
}


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMED)
def test_named_sizes(name: str, dtype: torch.dtype, activation: str) -> None:
    check(cpu.Case(**{**NAMED[name].__dict__, "activation": activation}), dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMED)
def test_low_precision_of_named_sizes(name: str, dtype: torch.dtype) -> None:
    check_low(NAMED[name], dtype)


@given(case=cpu.cases(), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=200)
def test_matches_float64_on_the_cpu(case: cpu.Case, dtype: torch.dtype) -> None:
    check(case, dtype)


@given(case=cpu.cases(), dtype=st.sampled_from([torch.bfloat16, torch.float16]))
@settings(max_examples=100)
def test_low_precision(case: cpu.Case, dtype: torch.dtype) -> None:
    check_low(case, dtype)


def test_symbols_that_do_not_occur_are_not_read() -> None:
    table = torch.tensor([[1.0, 2.0], [float("nan")] * 2, [float("inf")] * 2], device="cuda").requires_grad_()
    weight = torch.ones(4, 4, device="cuda", requires_grad=True)
    y = ops.embedding_concat_linear(torch.zeros(8, 2, dtype=torch.int64, device="cuda"), table, weight)
    grads = torch.autograd.grad(y.sum(), (table, weight))
    assert all(bool(t.isfinite().all()) for t in (y, *grads))
    assert torch.equal(grads[0][1:], torch.zeros(2, 2, device="cuda"))


@pytest.mark.parametrize(("block", "embed"), [(0, 4), (3, 0)])
@pytest.mark.parametrize("batch", [0, 1, 40])
def test_nothing_to_sum_leaves_the_bias(batch: int, block: int, embed: int) -> None:
    tokens = torch.zeros(batch, block, dtype=torch.int64, device="cuda")
    embedding = torch.ones(2, embed, device="cuda", requires_grad=True)
    weight = torch.ones(5, block * embed, device="cuda", requires_grad=True)
    bias = torch.arange(5.0, device="cuda", requires_grad=True)
    y = ops.embedding_concat_linear(tokens, embedding, weight, bias, "none")
    assert torch.equal(y.cpu(), torch.arange(5.0).expand(batch, 5))
    y.sum().backward()
    assert torch.equal(bias.grad.cpu(), torch.full((5,), float(batch)))
    assert torch.equal(embedding.grad.cpu(), torch.zeros(2, embed))
