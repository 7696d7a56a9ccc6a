"""The report of fuse: what it did and did not do, site by site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from torch import nn


@dataclass(frozen=True)
class Site:
    """One place of a model that is fused, or that is not fused for a reason.

    Attributes:
        name: the dotted name of the module, or "net.0..3" for the neighbouring children 0 to 3 of net.
        kind: the operator, such as "batch_norm"; for a layer that no pattern covers, its class.
        modules: the modules, in order.
        fused: whether the modules run as one operator.
        reason: why they do not; None for a fused site.

    Example:
        >>> from torch import nn
        >>> from namegen_ext.fusion import fuse
        >>> (site,) = fuse(nn.Sequential(nn.BatchNorm1d(200), nn.Tanh()))
        >>> site.name, site.kind, site.layers, site.fused, site.reason
        ('0..1', 'batch_norm', 'BatchNorm1d, Tanh', True, None)

    """

    name: str
    kind: str
    modules: tuple[nn.Module, ...] = field(repr=False)
    fused: bool
    reason: str | None

    @property
    def layers(self) -> str:
        """The classes of the modules, as text."""
        return ", ".join(type(module).__name__ for module in self.modules)


@dataclass(frozen=True)
class FusionReport:
    """The sites of a model, in the order of its modules. It can be iterated over and printed.

    Attributes:
        sites: the sites.

    Example:
        >>> from torch import nn
        >>> from namegen_ext.fusion import fuse
        >>> report = fuse(nn.Sequential(nn.BatchNorm1d(200), nn.Tanh()))
        >>> len(report.fused), len(report.skipped)
        (1, 0)

    """

    sites: tuple[Site, ...]

    @property
    def fused(self) -> list[Site]:
        """The sites that run as one operator."""
        return [site for site in self.sites if site.fused]

    @property
    def skipped(self) -> list[Site]:
        """The sites that run as stock layers, each with its reason."""
        return [site for site in self.sites if not site.fused]

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def __str__(self) -> str:
        fused, skipped = self.fused, self.skipped
        if not self.sites:
            return "nothing to fuse: the model has no layer"
        headline = f"{_count(fused)} fused, {_count(skipped)} skipped" if fused else "nothing was fused"
        # A deep model repeats itself, so sites that are alike share a line: fused ones where they are neighbours.
        lines = [
            f"  fused    {_names(alike)}: {layers} -> {kind}"
            for (layers, kind), alike in groupby(fused, key=lambda site: (site.layers, site.kind))
        ]
        reasons: dict[tuple[str, str | None], list[Site]] = {}
        for site in skipped:
            reasons.setdefault((site.layers, site.reason), []).append(site)
        lines += [
            f"  skipped  {_names(alike)}: {layers}: {reason}" for (layers, reason), alike in reasons.items()
        ]
        return "\n".join([headline, *lines])


def _names(sites: Iterable[Site]) -> str:
    names = [site.name for site in sites]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} to {names[-1]} ({len(names)} sites)"


def _count(sites: list[Site]) -> str:
    return f"{len(sites)} site" if len(sites) == 1 else f"{len(sites)} sites"
