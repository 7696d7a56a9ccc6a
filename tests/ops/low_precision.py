"""How far results in bfloat16 and float16 may be off: as far as rounding explains, or as far as stock PyTorch is off.

The kernels compute in float32 from inputs that are exact, and round each result once. So an output is off by the
error of float32 arithmetic and one rounding. A gradient also depends on y, which was rounded: d = dy * (1 - y^2) is
off by at most |dy| * 2 |y| * (eps / 2) |y| <= eps * |dy|. This error passes on through the sums that the gradient is
made of. The plain products of a large vocabulary round where PyTorch's own layers round, and are compared with those.

A result may be off by the larger of the two bounds. Small tensors need the first, because the stock layers may be
exact there by luck. The plain products need the second.
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
    """Check that |computed - exact| is at most the larger of the two bounds.

    ``exact`` comes with the error of float32 arithmetic, and ``low`` is the dtype of the large tensors. ``passed_on``
    is what an error of |dy| in d becomes in this result; None where the result does not depend on d.
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
    """Return what an error of |dy| in d becomes in each gradient: the sums of the magnitudes of its terms."""
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
