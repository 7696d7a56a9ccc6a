"""Histograms as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Histogram:
    """The number of values in each of some bins of equal width.

    Attributes:
        edges: the ends of the bins in ascending order, one more than there are bins.
        counts: the number of values in each bin. The first and the last bin also count the values beyond them.

    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """The number of values in all bins together."""
        return sum(self.counts)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of all values in each bin. The shares sum to 1, or are all 0 where there are no values."""
        total = max(self.total, 1)
        return tuple(count / total for count in self.counts)


def histogram(values: Tensor, lower: float, upper: float, bins: int) -> Histogram:
    """Count values in bins of equal width. Values that are not finite are left out.

    Args:
        values: the values, of any shape and floating-point dtype.
        lower: where the first bin begins.
        upper: where the last bin ends; it is above ``lower``.
        bins: the number of bins, at least 1.

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
