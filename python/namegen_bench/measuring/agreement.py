"""How equal the results of the peers must be before a time is shown.

Every result is compared with the same computation in float64. A float32 result differs from it for two reasons:

- Rounding. The error of a sum of n terms grows as sqrt(n) roundings, because roundings act like a random walk (Higham
  and Mary, "A New Approach to Probabilistic Rounding Error Analysis", 2019).
- The condition of the problem, which magnifies the error of the inputs for every peer alike. The error of the stock
  layers shows by how much.

So a result agrees where

    error <= 4 * (error of stock) + eps * (8 + sqrt(n)) * (largest value)

The factor 4 allows for another order of summation, and the 8 roundings for the functions that are applied element by
element. A peer that computes something else is off by far more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from namegen_bench.bench_errors import BenchError

_STOCK_ERRORS = 4
_ELEMENTWISE_ROUNDINGS = 8


class DisagreementError(BenchError):
    """A peer's result is not that of the stock layers; the message says which and by how much."""


def check_tensors(
    where: str,
    reference: Mapping[str, Tensor],
    stock: Mapping[str, Tensor],
    peers: Mapping[str, Mapping[str, Tensor]],
    terms: Mapping[str, int],
) -> None:
    """Check the results of all peers, tensor by tensor.

    Args:
        where: what was computed, for the message.
        reference: the tensors in float64, by name.
        stock: the tensors of the stock layers in float32.
        peers: the tensors of each other peer.
        terms: how many terms are summed up in each element of a tensor, by the tensor's name.

    Raises:
        DisagreementError: a peer is further from the reference than rounding explains, or a tensor of the
            reference is not finite.

    """
    for name, exact in reference.items():
        largest = _largest(exact)
        if not math.isfinite(largest):
            raise DisagreementError(f"{where}: {name} is not finite")
        stock_error = _error(stock[name], exact)
        eps = torch.finfo(stock[name].dtype).eps
        rounding = eps * (_ELEMENTWISE_ROUNDINGS + math.sqrt(terms[name])) * largest
        tolerance = _STOCK_ERRORS * stock_error + rounding
        for peer, tensors in peers.items():
            error = _error(tensors[name], exact)
            if not error <= tolerance:  # a NaN is no agreement
                raise DisagreementError(
                    f"{where}: {name} of {peer} differs from float64 by {error:.3g}, expected at most "
                    f"{tolerance:.3g} (stock: {stock_error:.3g})"
                )


def check_losses(where: str, reference: Tensor, stock: Tensor, peers: Mapping[str, Tensor]) -> None:
    """Check the losses of all peers, step by step, on the same minibatches from the same weights.

    Each step's rounding moves the weights a little, and with them all later losses. The distance of the stock layers
    from the float64 run shows by how much. The tolerance has twice the factor of that for single results, because the
    peers drift independently of each other. A peer that computes something else is off by far more: one that normalises
    with the unbiased variance by a thousand times as much.

    Args:
        where: what was trained, for the message.
        reference: losses of the stock layers in float64: (steps,).
        stock: losses of the stock layers in float32: (steps,).
        peers: losses of each other peer: (steps,).

    Raises:
        DisagreementError: a loss is further from the reference than rounding explains, or not finite.

    """
    largest = _largest(reference)
    if not math.isfinite(largest):
        raise DisagreementError(f"{where}: the loss is not finite")
    stock_error = _error(stock, reference)
    eps = torch.finfo(torch.float32).eps
    tolerance = 2 * _STOCK_ERRORS * (stock_error + eps * _ELEMENTWISE_ROUNDINGS * largest)
    for peer, losses in peers.items():
        error = _error(losses, reference)
        if not error <= tolerance:
            raise DisagreementError(
                f"{where}: the losses of {peer} differ from float64 by {error:.3g}, expected at most "
                f"{tolerance:.3g} (stock: {stock_error:.3g})"
            )


def _largest(tensor: Tensor) -> float:
    return float(tensor.abs().max())


def _error(tensor: Tensor, exact: Tensor) -> float:
    if tensor.shape != exact.shape:
        raise DisagreementError(f"got the shape {tuple(tensor.shape)}, expected {tuple(exact.shape)}")
    return float((tensor.double() - exact).abs().max())
