"""Joining neighbouring positions: against indexing by hand, as a view, and its errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from namegen_ext.nn import FlattenConsecutive


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize(("length", "factor"), [(8, 2), (8, 4), (6, 3), (5, 1)])
def test_neighbours_stand_one_after_another(leading: tuple[int, ...], length: int, factor: int) -> None:
    x = torch.randn(*leading, length, 4)
    y = FlattenConsecutive(factor)(x)
    assert y.shape == (*leading, length // factor, factor * 4)
    for position in range(length // factor):
        parts = [x[..., position * factor + place, :] for place in range(factor)]
        assert torch.equal(y[..., position, :], torch.cat(parts, dim=-1))


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_one_position_left_drops_its_dimension(factor: int) -> None:
    x = torch.randn(3, factor, 4)
    assert torch.equal(FlattenConsecutive(factor)(x), x.reshape(3, factor * 4))


def test_it_is_a_view() -> None:
    x = torch.randn(3, 8, 4)
    assert FlattenConsecutive(2)(x).data_ptr() == x.data_ptr()
    assert FlattenConsecutive(8)(x).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("shape", [(4,), (2, 7, 3)])
def test_what_cannot_be_joined_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"x must be \(\.\.\., T, C\) with T a multiple of the factor 2"):
        FlattenConsecutive(2)(torch.zeros(shape))


@pytest.mark.parametrize("factor", [0, -1, 2.0, True, "2"])
def test_a_wrong_factor_is_named(factor: Any) -> None:
    with pytest.raises(ValueError, match=f"factor must be a positive integer, but got {factor!r}"):
        FlattenConsecutive(factor)
