"""What batch_norm does to the running statistics, and that it does nothing else in place."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
import torch

from namegen_ext import ops


def call(x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, training: bool = True) -> torch.Tensor:
    return ops.batch_norm(x, mean, var, None, None, training, 0.25, 1e-5)


@pytest.mark.parametrize("requires_grad", [True, False])
def test_one_update_a_call(requires_grad: bool) -> None:
    x = torch.tensor(
        [[0.0, 8.0], [4.0, 8.0]], requires_grad=requires_grad
    )  # means 2 and 8, unbiased variances 8, 0
    mean, var = torch.tensor([4.0, 0.0]), torch.tensor([4.0, 4.0])
    y = call(x, mean, var)
    assert mean.tolist() == [0.75 * 4 + 0.25 * 2, 0.25 * 8]
    assert var.tolist() == [0.75 * 4 + 0.25 * 8, 0.75 * 4]
    if requires_grad:
        y.sum().backward()
        assert mean.tolist() == [3.5, 2.0], "the backward pass moved the running mean"


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("kind", ["contiguous", "strided", "bfloat16", "float16"])
def test_version_counters_tell_of_the_update(kind: str, requires_grad: bool) -> None:
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(kind, torch.float32)
    x = torch.randn(4, 3).to(dtype).requires_grad_(requires_grad)
    mean, var = torch.zeros(6, dtype=dtype), torch.ones(6, dtype=dtype)
    mean, var = (mean[::2], var[::2]) if kind == "strided" else (mean[:3], var[:3])
    before = mean._version, var._version
    call(x, mean, var)
    assert (mean._version, var._version) == (before[0] + 1, before[1] + 1)
    call(x, mean, var, training=False)
    assert (mean._version, var._version) == (before[0] + 1, before[1] + 1)


def test_update_after_saving_is_noticed() -> None:
    # Somebody multiplies by the running mean, then normalises: the product's gradient would be silently
    # wrong.
    mean = torch.zeros(3)
    factor = torch.ones(3, requires_grad=True)
    product = factor * mean
    call(torch.randn(4, 3), mean, torch.ones(3))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("training", [True, False])
def test_without_gradients(mode: type[AbstractContextManager], training: bool) -> None:
    x = torch.randn(6, 3, requires_grad=True)
    mean, var, mean2, var2 = torch.zeros(3), torch.ones(3), torch.zeros(3), torch.ones(3)
    expected = call(x, mean2, var2, training)
    with mode():
        y = call(x, mean, var, training)
        tokens = torch.tensor([[0, 1]])
        hidden = ops.embedding_concat_linear(tokens, torch.ones(2, 2, requires_grad=True), torch.ones(3, 4))
    assert not y.requires_grad
    assert not hidden.requires_grad
    assert torch.equal(y, expected.detach())
    assert torch.equal(mean, mean2)
    assert torch.equal(var, var2)


def test_statistics_made_in_inference_mode() -> None:
    with torch.inference_mode():
        mean, var = torch.zeros(3), torch.ones(3)
        call(torch.randn(6, 3), mean, var)
    assert bool((mean != 0).all())


@pytest.mark.parametrize("missing", ["running_mean", "running_var"])
def test_only_one_of_the_statistics_is_refused(missing: str) -> None:
    # As torch.nn.functional.batch_norm does in training, and torch's own operator in evaluation.
    statistics = {"running_mean": torch.zeros(3), "running_var": torch.ones(3), missing: None}
    with pytest.raises(ValueError, match="running_"):
        ops.batch_norm(torch.randn(6, 3), *statistics.values(), None, None, True, 0.25, 1e-5)
    with pytest.raises(RuntimeError, match=missing):
        ops.batch_norm(torch.randn(6, 3), *statistics.values(), None, None, False, 0.25, 1e-5)
