"""How far results in bfloat16 and float16 may be off: what stock PyTorch gives away, or what rounding explains.

The kernels compute in float32 from inputs that are exact, and round each result once. So an output is off by the
error of float32 arithmetic and one rounding. A gradient besides sees y as it was rounded: d = dy * (1 - y^2) is
off by at most |dy| * 2 |y| * (eps / 2) |y| <= eps * |dy|, which passes on through the sums that the gradient is
made of. The plain products of a large vocabulary round where PyTorch's own layers do, and are measured by those.
Small tensors, where the stock layers may be exact by luck, need the former, the others the latter.
"""

from __future__ import annotations

import op_bounds
import torch
from op_bounds import Bounded
from torch import Tensor


def check(
    computed: Tensor,
    stock: Tensor,
    exact: Bounded,
    passed_on: Tensor | None,
    factor: float,
    low: torch.dtype,
    name: str,
) -> None:
    """|computed - exact| <= the larger of the two bounds; `exact` with the error of float32 arithmetic.

    `low`: the type of the large tensors. `passed_on`: what an error of |dy| in d becomes in this result, or None
    where d has no part in it.
    """
    assert computed.dtype == stock.dtype, f"{name}: {computed.dtype} instead of {stock.dtype}"
    assert computed.shape == exact.value.shape
    if computed.numel() == 0:
        return
    info = torch.finfo(low)
    rounding = info.eps * exact.value.abs() + info.smallest_normal * info.eps
    by_stock = factor * (stock.double() - exact.value).abs().max() + rounding
    by_rounding = exact.error + rounding
    if passed_on is not None:
        by_rounding = by_rounding + info.eps * passed_on
    off, allowed = (computed.double() - exact.value).abs(), torch.maximum(by_stock, by_rounding)
    worst = int((off - allowed).argmax())
    assert bool((off <= allowed).all()), (
        f"{name}: off by {off.flatten()[worst]:.3e}, allowed {allowed.flatten()[worst]:.3e}"
    )


def passed_on_by_embedding_concat_linear(
    tokens: Tensor, embedding: Tensor, weight: Tensor, dy: Tensor
) -> dict[str, Tensor]:
    """What an error of |dy| in d becomes in each gradient: the sums of the magnitudes of their terms."""
    sizes = op_bounds.embedding_concat_linear(
        tokens,
        embedding.detach().double().abs(),
        weight.detach().double().abs(),
        None,
        "none",
        dy.double().abs(),
    )
    return {name: bounded.value for name, bounded in sizes.items() if name != "output"}


def passed_on_by_batch_norm(
    x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, eps: float, dy: Tensor
) -> dict[str, Tensor]:
    """The same for batch_norm: x (..., C), normalised with mean and variance (C)."""
    rows, a = (
        x.detach().double().reshape(-1, x.shape[-1]),
        dy.double().abs().reshape(-1, x.shape[-1]),
    )  # (N, C)
    inv = (variance.double() + eps).rsqrt()
    xhat = ((rows - mean.double()) * inv).abs()
    scale = inv if weight is None else inv * weight.detach().double().abs()
    n = max(1, rows.shape[0])
    through_sums = a.sum(0) / n + xhat * (a * xhat).sum(0) / n  # in training; not more in evaluation
    return {
        "x": (scale * (a + through_sums)).reshape(x.shape),
        "weight": (a * xhat).sum(0),
        "bias": a.sum(0),
    }
