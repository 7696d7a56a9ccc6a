"""Histograms as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each of some bins of equal width.

    Attributes:
        edges: the bins' ends, ascending, one more than there are bins.
        counts: how many values lie in each bin; the first and the last one also hold what lies beyond them.

    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many values there are in all bins together."""
        return sum(self.counts)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of all values in each bin: they sum to 1, or are all 0 where there is no value."""
        total = max(self.total, 1)
        return tuple(count / total for count in self.counts)


def histogram(values: Tensor, lower: float, upper: float, bins: int) -> Histogram:
    """Count values in bins of equal width; those that are not finite are left out.

    Args:
        values: of any shape and floating-point dtype.
        lower: where the first bin begins.
        upper: where the last bin ends, above ``lower``.
        bins: how many, at least 1.

    Raises:
        ValueError: there is no bin, or ``upper`` is not above ``lower``.

    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, but got {bins}")
    if not lower < upper:
        raise ValueError(f"upper must be above lower, {lower}, but got {upper}")
    flat = values.detach().double().cpu().flatten()  # (n,)
    inside = flat[flat.isfinite()].clamp(lower, upper)  # (<= n,)
    counts = torch.histc(inside, bins=bins, min=lower, max=upper)  # (bins,)
    width = (upper - lower) / bins
    edges = [*(lower + number * width for number in range(bins)), upper]
    return Histogram(tuple(edges), tuple(int(count) for count in counts))
