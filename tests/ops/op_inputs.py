"""Inputs for the tests of the operators: every layout in memory, and the low-precision policy."""

from __future__ import annotations

import torch
from torch import Tensor

LAYOUTS = ("contiguous", "transposed", "sliced", "offset")


def laid_out(values: Tensor, layout: str) -> Tensor:
    """The same values under other strides, as a leaf; what lies around them would be noticed if read."""
    if layout == "transposed" and values.dim() >= 2:
        return values.transpose(-1, -2).contiguous().transpose(-1, -2)
    poison = 99 if not values.is_floating_point() else float("nan")
    if layout == "sliced" and values.dim() >= 1:
        room = values.new_full((*values.shape[:-1], 2 * values.shape[-1] + 1), poison)
        view = room[..., 1::2]
        view.copy_(values)
        return view.detach()
    if layout == "offset":
        room = values.new_full((values.numel() + 3,), poison)
        view = room[3:].view(values.shape)
        view.copy_(values)
        return view.detach()
    return values


def check_low_precision(
    computed: Tensor,
    stock: Tensor,
    exact: Tensor,
    factor: float,
    name: str,
    unit_dtype: torch.dtype | None = None,
    roundings: Tensor | float = 0.0,
) -> None:
    """|computed - exact| <= factor * (PyTorch's own worst error) + one rounding of the exact value + `roundings`.

    `exact` comes from the same low-precision inputs by float64 arithmetic; `unit_dtype` is the precision that
    values passed through, where it isn't the result's own. `roundings` are those that are made whatever PyTorch's
    happen to add up to.
    """
    assert computed.dtype == stock.dtype, f"{name}: {computed.dtype} instead of {stock.dtype}"
    assert computed.shape == exact.shape, f"{name}: {computed.shape} instead of {exact.shape}"
    if exact.numel() == 0:
        return
    info = torch.finfo(unit_dtype or computed.dtype)
    allowed = (
        factor * (stock.double() - exact).abs().max()
        + info.eps * exact.abs()
        + info.smallest_normal * info.eps
        + roundings
    )
    off = (computed.double() - exact).abs()
    worst = int((off - allowed).argmax())
    assert bool((off <= allowed).all()), (
        f"{name}: off by {off.flatten()[worst]:.3e}, allowed {allowed.flatten()[worst]:.3e} "
        f"(PyTorch's worst {(stock.double() - exact).abs().max():.3e})"
    )
