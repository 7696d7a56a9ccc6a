"""linear on a CUDA device: torch's own product, by the same operator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from namegen_ext import fuse, ops


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_linear_and_its_gradients_equal_those_of_the_cpu_in_float64(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = (6, 5, 33), (20, 33), (20,)  # x, weight, bias
    values = [torch.randn(*shape, generator=generator).to(dtype) for shape in shapes]
    found = [value.cuda().requires_grad_() for value in values]
    exact = [value.double().requires_grad_() for value in values]
    dy = torch.randn(6, 5, 20, generator=generator).to(dtype)
    y, expected = ops.linear(*found), ops.linear_reference(*exact)
    y.backward(dy.cuda())
    expected.backward(dy.double())
    # Sums of at most 34 products below 16, in float32 or better; then rounded.
    sums = 34 * 34 * 16 * torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    bounds = {"rtol": torch.finfo(dtype).eps, "atol": sums}
    torch.testing.assert_close(y.detach().cpu().double(), expected.detach(), **bounds)
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one.grad.cpu().double(), other.grad, **bounds)


def test_fuse_leaves_linear_layers_to_torch() -> None:
    (site,) = fuse(nn.Sequential(nn.Linear(3, 4)).cuda())
    assert not site.fused
    assert site.reason == "PyTorch's own product is used on CUDA"
