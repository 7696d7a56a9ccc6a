"""Error bounds of the operators, from the number of terms summed, for any order of summation.

u = eps/2 is the rounding unit. A sum or dot product of n terms errs by at most gamma_n * (the sum of the
terms' magnitudes), gamma_n = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms, section
3.1). For many terms that worst case never comes; with independent rounding errors n gives way to 6 sqrt(n)
with overwhelming probability (Higham and Mary 2019, theorem 2.4 with lambda = 6). An absolute term of the
dtype's smallest normal number covers gradual underflow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# tanh: within 3 ulp (the bound that csrc/core/kernels/cpu/tanh.h states), an ulp being at most eps * |y|.
TANH_ULPS = 3


def gamma(terms: int, dtype: torch.dtype) -> float:
    """How far a sum of so many products may be off, relative to their magnitudes (4 further operations)."""
    unit = torch.finfo(dtype).eps / 2
    n = min(terms, 6 * math.sqrt(terms)) + 4
    return n * unit / (1 - n * unit)


@dataclass
class Bounded:
    """An exact value (float64) and how far a computed one may be off, element by element."""

    value: Tensor
    error: Tensor

    def check(self, computed: Tensor, name: str) -> None:
        assert computed.shape == self.value.shape, f"{name}: {computed.shape} instead of {self.value.shape}"
        # The exact value is float64 arithmetic too, so that for float64 it errs as much again.
        factor = 2 if computed.dtype == torch.float64 else 1
        allowed = factor * self.error + torch.finfo(computed.dtype).tiny
        off = (computed.double() - self.value).abs()
        if not bool((off <= allowed).all()):
            worst = int((off / allowed).nan_to_num(nan=math.inf).argmax())
            raise AssertionError(
                f"{name}: element {worst} of shape {tuple(computed.shape)} is {computed.flatten()[worst]}, "
                f"exact {self.value.flatten()[worst]}, off by {off.flatten()[worst]:.3e}, "
                f"allowed {allowed.flatten()[worst]:.3e}"
            )


def _activated(z: Tensor, z_error: Tensor, activation: str, eps: float) -> Bounded:
    if activation == "none":
        return Bounded(z, z_error)
    y = torch.tanh(z)  # |tanh'| <= 1, so z's error passes at most whole
    return Bounded(y, z_error + TANH_ULPS * eps * y.abs())


def _through_activation(dy: Tensor, y: Bounded, activation: str, eps: float) -> Bounded:
    """d = dy * (1 - y^2): y's error counts twice, and four roundings of terms no larger than |dy|."""
    if activation == "none":
        return Bounded(dy, torch.zeros_like(dy))
    return Bounded(dy * (1 - y.value**2), dy.abs() * (2 * y.error * (1 + y.error) + 4 * eps / 2))


def embedding_concat_linear(
    tokens: Tensor, embedding: Tensor, weight: Tensor, bias: Tensor | None, activation: str, dy: Tensor
) -> dict[str, Bounded]:
    """The output and the three gradients; the weights' dtype says what is computed in."""
    dtype = weight.dtype
    eps = torch.finfo(dtype).eps
    c, w, g = embedding.detach().double(), weight.detach().double(), dy.double().reshape(-1, weight.shape[0])
    b = torch.zeros(w.shape[0], dtype=torch.float64) if bias is None else bias.detach().double()
    block, embed = tokens.shape[-1], c.shape[1]
    index = tokens.long().reshape(g.shape[0], block)
    x = c[index].reshape(g.shape[0], block * embed)  # (N, T*E)

    z_error = gamma(block * embed + 1, dtype) * (x.abs() @ w.abs().T + b.abs())
    y = _activated(x @ w.T + b, z_error, activation, eps)
    d = _through_activation(g, y, activation, eps)

    n = g.shape[0]
    magnitude = d.value.abs()  # (N, H)
    gamma_n = gamma(n + 16, dtype)  # at most 16 chunks are merged
    grad_bias = Bounded(d.value.sum(0), d.error.sum(0) + gamma_n * magnitude.sum(0))
    grad_weight = Bounded(d.value.T @ x, (d.error + gamma_n * magnitude).T @ x.abs())
    flat = index.flatten()
    most = int(torch.bincount(flat).max()) if flat.numel() else 0
    rows = (d.value @ w).reshape(-1, embed)  # (N*T, E)
    row_errors = ((d.error + gamma(most + w.shape[0] + 16, dtype) * magnitude) @ w.abs()).reshape(-1, embed)
    grad_embedding = Bounded(
        torch.zeros_like(c).index_add(0, flat, rows), torch.zeros_like(c).index_add(0, flat, row_errors)
    )
    shape = dy.shape
    return {
        "output": Bounded(y.value.reshape(shape), y.error.reshape(shape)),
        "embedding_weight": grad_embedding,
        "linear_weight": grad_weight,
        "linear_bias": grad_bias,
    }


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    bn_eps: float,
    activation: str,
    dy: Tensor,
) -> dict[str, Bounded]:
    """The output, the gradients of x, weight and bias, and the running statistics after the call."""
    dtype = x.dtype
    eps = torch.finfo(dtype).eps
    unit = eps / 2
    c = x.shape[-1]
    rows, g = x.detach().double().reshape(-1, c), dy.double().reshape(-1, c)  # (N, C)
    n = rows.shape[0]
    w = torch.ones(c, dtype=torch.float64) if weight is None else weight.detach().double()
    b = torch.zeros(c, dtype=torch.float64) if bias is None else bias.detach().double()
    gamma_n = gamma(n + 16, dtype)
    result: dict[str, Bounded] = {}

    if training:
        mean = rows.mean(0)
        mean_error = gamma_n * rows.abs().mean(0)
        variance = ((rows - mean) ** 2).mean(0)
        # The mean's error enters squared (two-pass), and through the differences of means that merging
        # squares.
        variance_error = gamma_n * variance + 4 * variance.sqrt() * mean_error + mean_error**2
        for name, old, new, error in (
            ("running_mean", running_mean, mean, mean_error),
            ("running_var", running_var, variance * n / (n - 1), variance_error * n / (n - 1)),
        ):
            if old is not None:
                moved = (1 - momentum) * old.double() + momentum * new
                rounding = 4 * unit * ((1 - momentum) * old.double().abs() + momentum * new.abs())
                result[name] = Bounded(moved, momentum * error + rounding)
    else:
        assert running_mean is not None
        assert running_var is not None
        mean, variance = running_mean.double(), running_var.double()
        mean_error, variance_error = torch.zeros_like(mean), torch.zeros_like(mean)
    inv = (variance + bn_eps).rsqrt()
    inv_relative = (
        variance_error / (variance + bn_eps) + 4 * unit
    )  # d(v^-1/2) = -v^-1/2 dv / 2v, doubled for safety

    centred = rows - mean  # (N, C)
    centred_error = mean_error + unit * centred.abs()
    scale = (w * inv).abs()
    z = centred * inv * w + b
    z_error = scale * (centred_error + centred.abs() * (inv_relative + 4 * unit)) + 2 * unit * (
        z.abs() + b.abs()
    )
    y = _activated(z, z_error, activation, eps)
    d = _through_activation(g, y, activation, eps)

    magnitude = d.value.abs()
    sum_d, sum_d_error = d.value.sum(0), d.error.sum(0) + gamma_n * magnitude.sum(0)
    xhat = centred * inv
    xhat_error = inv * centred_error + xhat.abs() * inv_relative
    sum_dx = (d.value * xhat).sum(0)
    sum_dx_error = ((d.error + gamma_n * magnitude) * xhat.abs() + magnitude * xhat_error).sum(0)
    if training:
        inside = d.value - sum_d / n - xhat * sum_dx / n
        parts = magnitude + sum_d.abs() / n + (xhat * sum_dx).abs() / n
        inside_error = d.error + (sum_d_error + xhat.abs() * sum_dx_error + xhat_error * sum_dx.abs()) / n
    else:
        inside, parts, inside_error = d.value, magnitude, d.error
    dx = inside * inv * w
    dx_error = scale * (inside_error + parts * (inv_relative + 8 * unit))
    result["output"] = Bounded(y.value.reshape(x.shape), y.error.reshape(x.shape))
    result["x"] = Bounded(dx.reshape(x.shape), dx_error.reshape(x.shape))
    result["weight"] = Bounded(sum_dx, sum_dx_error)
    result["bias"] = Bounded(sum_d, sum_d_error)
    return result


def embedding_concat_linear_batch_norm(
    tokens: Tensor,
    embedding: Tensor,
    linear: Tensor,
    linear_bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    bn_eps: float,
    activation: str,
    dy: Tensor,
) -> dict[str, Bounded]:
    """The output, the five gradients, and the running statistics after the call.

    z is a sum of rows of a table, which are centred at each position before they are added. So its error is that of the
    rows: relative to the sum of their sizes and of their means' sizes, which may be more than that of z.
    """
    dtype = linear.dtype
    eps = torch.finfo(dtype).eps
    unit = eps / 2
    c, w, g = embedding.detach().double(), linear.detach().double(), dy.double().reshape(-1, linear.shape[0])
    hidden = w.shape[0]
    block, embed = tokens.shape[-1], c.shape[1]
    index = tokens.long().reshape(-1, block)  # (N, T)
    x = c[index].reshape(-1, block * embed)  # (N, T*E)
    zeros, ones = torch.zeros(hidden, dtype=torch.float64), torch.ones(hidden, dtype=torch.float64)
    b = zeros if linear_bias is None else linear_bias.detach().double()
    scale = ones if weight is None else weight.detach().double()
    shift = zeros if bias is None else bias.detach().double()
    n = len(index)
    gamma_n = gamma(n + 16, dtype)
    z = x @ w.T + b  # (N, H)
    size = x.abs() @ w.abs().T + b.abs()  # (N, H)
    size = size + size.mean(0)
    z_error = gamma(block * embed + block + 4, dtype) * size
    result: dict[str, Bounded] = {}
    if training:
        mean = z.mean(0)
        mean_error = z_error.mean(0)
        centred = z - mean
        variance = (centred**2).mean(0)
        variance_error = ((2 * centred.abs() + z_error) * z_error).mean(0) + gamma_n * variance
        for name, old, new, error in (
            ("running_mean", running_mean, mean, mean_error),
            ("running_var", running_var, variance * n / (n - 1), variance_error * n / (n - 1)),
        ):
            if old is not None:
                moved = (1 - momentum) * old.double() + momentum * new
                rounding = 4 * unit * ((1 - momentum) * old.double().abs() + momentum * new.abs())
                result[name] = Bounded(moved, momentum * error + rounding)
    else:
        assert running_mean is not None
        assert running_var is not None
        mean, variance = running_mean.double(), running_var.double()
        variance_error = torch.zeros_like(mean)
        size = size + mean.abs()
        z_error = z_error + 2 * unit * mean.abs()
    inv = (variance + bn_eps).rsqrt()
    inv_relative = variance_error / (variance + bn_eps) + 4 * unit
    xhat = (z - mean) * inv
    parts = size * inv  # the sizes of what xhat is a sum of
    xhat_error = z_error * inv + xhat.abs() * inv_relative + 4 * unit * parts
    y_error = (
        scale.abs() * (xhat_error + gamma(block + 4, dtype) * parts) + gamma(block + 4, dtype) * shift.abs()
    )
    y = _activated(xhat * scale + shift, y_error, activation, eps)
    d = _through_activation(g, y, activation, eps)

    magnitude = g.abs()  # of d, with room for the rounding of 1 - y^2
    sum_d, sum_d_error = d.value.sum(0), (d.error + gamma_n * magnitude).sum(0)
    sum_dx = (d.value * xhat).sum(0)
    sum_dx_error = ((d.error + gamma_n * magnitude) * parts + magnitude * xhat_error).sum(0)
    share = 1 / n if training else 0.0
    factor = scale * inv
    dz = factor * (d.value - sum_d * share - xhat * sum_dx * share)
    dz_size = factor.abs() * (magnitude + sum_d.abs() * share + parts * sum_dx.abs() * share)
    inside = d.error + share * (sum_d_error + parts * sum_dx_error + xhat_error * sum_dx.abs())
    dz_error = factor.abs() * inside + dz_size * (inv_relative + gamma(n + 24, dtype))
    flat = index.flatten()
    rows = (dz @ w).reshape(-1, embed)  # (N*T, E)
    row_errors = ((dz_error + gamma(n + hidden + 16, dtype) * dz_size) @ w.abs()).reshape(-1, embed)
    result["output"] = Bounded(y.value.reshape(dy.shape), y.error.reshape(dy.shape))
    result["embedding_weight"] = Bounded(
        torch.zeros_like(c).index_add(0, flat, rows), torch.zeros_like(c).index_add(0, flat, row_errors)
    )
    result["linear_weight"] = Bounded(dz.T @ x, (dz_error + gamma_n * dz_size).T @ x.abs())
    result["linear_bias"] = Bounded(dz.sum(0), (dz_error + gamma_n * dz_size).sum(0))
    result["weight"] = Bounded(sum_dx, sum_dx_error + 2 * unit * sum_dx.abs())
    result["bias"] = Bounded(sum_d, sum_d_error)
    return result
