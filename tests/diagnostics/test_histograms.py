"""Histograms against counting by hand."""

from __future__ import annotations

import math

import pytest
import torch

from namegen_ext.diagnostics import Histogram, histogram


def test_counts_and_edges() -> None:
    found = histogram(torch.tensor([[0.0, 0.1], [0.25, 0.9], [0.5, 1.0]]), 0.0, 1.0, 4)
    assert found == Histogram((0.0, 0.25, 0.5, 0.75, 1.0), (2, 1, 1, 2))
    assert found.total == 6
    assert found.shares == (2 / 6, 1 / 6, 1 / 6, 2 / 6)


def test_what_lies_beyond_the_ends_counts_in_the_last_bins() -> None:
    assert histogram(torch.tensor([-9.0, 0.4, 7.0, 8.0]), 0.0, 1.0, 2).counts == (2, 2)


def test_what_is_not_finite_is_left_out() -> None:
    assert histogram(torch.tensor([math.nan, math.inf, -math.inf, 0.9]), 0.0, 1.0, 2).counts == (0, 1)


def test_nothing_to_count() -> None:
    found = histogram(torch.zeros(0), 0.0, 1.0, 2)
    assert found.counts == (0, 0)
    assert found.shares == (0.0, 0.0)


@pytest.mark.parametrize(("lower", "upper", "bins", "named"), [(0.0, 1.0, 0, "bins"), (1.0, 1.0, 3, "upper")])
def test_wrong_arguments(lower: float, upper: float, bins: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        histogram(torch.zeros(3), lower, upper, bins)
