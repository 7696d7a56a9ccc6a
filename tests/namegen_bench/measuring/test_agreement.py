"""What counts as equal, and what does not."""

from __future__ import annotations

import pytest
import torch

from namegen_bench.measuring.agreement import DisagreementError, check_losses, check_tensors

EPS = torch.finfo(torch.float32).eps


@pytest.fixture
def product() -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix product of 400 terms an element, in float64 and in float32."""
    generator = torch.Generator().manual_seed(5)
    a = torch.randn(30, 400, generator=generator)
    b = torch.randn(400, 20, generator=generator)
    return a.double() @ b.double(), a @ b


def check(exact: torch.Tensor, stock: torch.Tensor, other: torch.Tensor) -> None:
    check_tensors("case", {"out": exact}, {"out": stock}, {"other": {"out": other}}, {"out": 400})


def test_another_order_of_summation_agrees(product: tuple[torch.Tensor, torch.Tensor]) -> None:
    exact, stock = product
    generator = torch.Generator().manual_seed(5)
    a = torch.randn(30, 400, generator=generator)
    b = torch.randn(400, 20, generator=generator)
    one_by_one = torch.zeros(30, 20)
    for k in range(400):
        one_by_one += a[:, k : k + 1] * b[k]
    check(exact, stock, one_by_one)


def test_a_small_relative_error_in_one_element_is_found(product: tuple[torch.Tensor, torch.Tensor]) -> None:
    exact, stock = product
    wrong = stock.clone()
    largest = wrong.abs().argmax()
    wrong.view(-1)[largest] *= 1 + 1e-4
    with pytest.raises(DisagreementError, match="case: out of other differs from float64 by"):
        check(exact, stock, wrong)


def test_nan_and_another_shape_do_not_agree(product: tuple[torch.Tensor, torch.Tensor]) -> None:
    exact, stock = product
    broken = stock.clone()
    broken[3, 4] = float("nan")
    with pytest.raises(DisagreementError, match="differs"):
        check(exact, stock, broken)
    with pytest.raises(DisagreementError, match="shape"):
        check(exact, stock, stock[:-1])
    with pytest.raises(DisagreementError, match="out is not finite"):
        check(exact * float("inf"), stock, stock)


def test_losses_that_differ_by_roundings_agree_and_by_more_do_not() -> None:
    exact = torch.linspace(3.3, 2.5, 50, dtype=torch.float64)
    stock = exact.float()
    check_losses("case", exact, stock, {"other": stock * (1 + 2 * EPS)})
    wrong = stock.clone()
    wrong[-1] += 1e-3
    with pytest.raises(DisagreementError, match="case: the losses of other differ from float64 by"):
        check_losses("case", exact, stock, {"fine": stock, "other": wrong})
    with pytest.raises(DisagreementError, match="losses of other"):
        check_losses("case", exact, stock, {"other": stock * float("nan")})
    with pytest.raises(DisagreementError, match="the loss is not finite"):
        check_losses("case", exact * float("nan"), stock, {})
