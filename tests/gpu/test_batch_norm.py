"""batch_norm on a CUDA device against float64 on the CPU, over the cases of the CPU's tests."""

from __future__ import annotations

from dataclasses import replace

import low_precision
import pytest
import test_batch_norm as cpu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from on_device import on_device
from torch import Tensor

from namegen_ext import ops


def run(case: cpu.Case, tensors: dict[str, Tensor | None], op=ops.batch_norm) -> dict[str, Tensor]:
    """Output, gradients and running statistics after one call, on the CPU."""
    moved = {name: None if t is None else on_device(t) for name, t in tensors.items()}
    return {name: t.cpu() for name, t in cpu.run(case, moved, op).items()}


def check(case: cpu.Case, dtype: torch.dtype) -> None:
    tensors = case.tensors(dtype)
    expected = cpu.exact(case, tensors)
    for name, value in run(case, tensors).items():
        assert value.dtype == dtype
        expected[name].check(value, f"{name} of {case}")


def check_low(case: cpu.Case, dtype: torch.dtype, parameter_dtype: torch.dtype) -> None:
    tensors = case.tensors(dtype)
    for name in (*cpu.RUNNING, "weight", "bias"):
        if (t := tensors[name]) is not None:
            tensors[name] = t.detach().to(parameter_dtype).requires_grad_(name in cpu.LEAVES)
    in_float32 = {name: None if t is None else t.detach().float() for name, t in tensors.items()}
    exact = cpu.exact(case, in_float32)
    rows = tensors["x"].detach().double().reshape(-1, case.channels)
    mean, variance = (
        (rows.mean(0), rows.var(0, unbiased=False))
        if case.training
        else (tensors["running_mean"], tensors["running_var"])
    )
    passed_on = low_precision.passed_on_by_batch_norm(
        tensors["x"], mean, variance, tensors["weight"], case.eps, tensors["dy"]
    )
    stock = run(case, tensors, ops.batch_norm_reference)
    for name, value in run(case, tensors).items():
        factor = 2 if name in ("output", *cpu.RUNNING) else 3
        low_precision.check(
            value, stock[name], exact[name], passed_on.get(name), factor, dtype, f"{name} of {case}"
        )


# Beside the CPU's: chunks that wait for each other, rows that fit into shared memory and rows that do not.
NAMED = {
    **cpu.NAMED,
    "one block a slab": cpu.Case((2048,), 200),
    "chunks": cpu.Case((2049,), 200, offset=5.0),
    "all rows kept": cpu.Case((16_384,), 200, offset=5.0),
    "some rows read again": cpu.Case((65_536,), 200, offset=-5.0),
    "odd width": cpu.Case((20_000,), 201),
    "wide": cpu.Case((3000,), 9000),
}


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMED)
def test_named_sizes(name: str, dtype: torch.dtype, training: bool, activation: str) -> None:
    check(replace(NAMED[name], training=training, activation=activation), dtype)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMED)
def test_low_precision_of_named_sizes(name: str, dtype: torch.dtype, wide: bool) -> None:
    check_low(NAMED[name], dtype, torch.float32 if wide else dtype)


@given(case=cpu.cases(), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=200)
def test_matches_float64_on_the_cpu(case: cpu.Case, dtype: torch.dtype) -> None:
    check(case, dtype)


@given(case=cpu.cases(), dtype=st.sampled_from([torch.bfloat16, torch.float16]), wide=st.booleans())
@settings(max_examples=100)
def test_low_precision(case: cpu.Case, dtype: torch.dtype, wide: bool) -> None:
    check_low(case, dtype, torch.float32 if wide else dtype)


def test_no_rows() -> None:
    x = torch.zeros(0, 4, device="cuda", requires_grad=True)
    mean, var = torch.zeros(4, device="cuda"), torch.ones(4, device="cuda")
    weight = torch.ones(4, device="cuda", requires_grad=True)
    y = ops.batch_norm(x, mean, var, weight, None, False, 0.1, 1e-5, "tanh")
    y.sum().backward()
    assert y.shape == (0, 4)
    assert torch.equal(weight.grad.cpu(), torch.zeros(4))


@pytest.mark.parametrize("training", [True, False])
def test_a_single_row(training: bool) -> None:
    x = torch.ones(1, 4, device="cuda")
    mean, var = torch.zeros(4, device="cuda"), torch.ones(4, device="cuda")
    if training:
        with pytest.raises(ValueError, match="more than one value per channel"):
            ops.batch_norm(x, mean, var, None, None, True, 0.1, 1e-5)
    else:
        assert torch.equal(ops.batch_norm(x, mean, var, None, None, False, 0.1, 0.0), x)


def test_version_counters_tell_of_the_update() -> None:
    mean, var = torch.zeros(3, device="cuda"), torch.ones(3, device="cuda")
    ops.batch_norm(torch.randn(4, 3, device="cuda"), mean, var, None, None, True, 0.25, 1e-5)
    assert (mean._version, var._version) == (1, 1)
    assert bool((mean != 0).all())
