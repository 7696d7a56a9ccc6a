"""Run by each of several processes: synchronised batch norm against PyTorch's layer over all rows together.

In float64 both are within rounding of the exact result: a few operations on values near 1 each, so 1e-12 is a
thousand roundings (1.1e-16).
"""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn

from namegen_ext.nn import ChannelsLastBatchNorm1d
from namegen_ext.nn.synchronized_batch_norm import SynchronizedBatchNorm1d, synchronize_batch_norm

CLOSE = {"rtol": 0.0, "atol": 1e-12}


def check(
    shares: list[int], leading: tuple[int, ...], variance: str, momentum: float | None, affine: bool
) -> None:
    rank, generator = dist.get_rank(), torch.Generator().manual_seed(len(shares) + sum(shares))
    whole = ChannelsLastBatchNorm1d(5, momentum=momentum, affine=affine, variance=variance).double()
    if affine:
        with torch.no_grad():
            whole.weight.copy_(torch.randn(5, generator=generator))
            whole.bias.copy_(torch.randn(5, generator=generator))
    model = nn.Sequential(copy.deepcopy(whole))
    synchronize_batch_norm(model)
    (own,) = model
    assert type(own) is SynchronizedBatchNorm1d
    for _ in range(2):
        every = 3.0 + 2.0 * torch.randn(sum(shares), *leading, 5, generator=generator, dtype=torch.float64)
        dy = torch.randn(every.shape, generator=generator, dtype=torch.float64)
        first = sum(shares[:rank])
        mine = slice(first, first + shares[rank])
        x, expected_x = every[mine].clone().requires_grad_(), every.clone().requires_grad_()
        y, expected = own(x), whole(expected_x)
        torch.testing.assert_close(y, expected[mine], **CLOSE)
        y.backward(dy[mine])
        expected.backward(dy)
        torch.testing.assert_close(x.grad, expected_x.grad[mine], **CLOSE)
        for name, buffer in whole.named_buffers():
            torch.testing.assert_close(own.get_buffer(name), buffer, **CLOSE)
    for parameter, expected_parameter in zip(own.parameters(), whole.parameters(), strict=True):
        total = parameter.grad.clone()
        dist.all_reduce(total)
        torch.testing.assert_close(total, expected_parameter.grad, **CLOSE)


def main() -> None:
    dist.init_process_group("gloo")
    for shares in ([4, 3, 5], [1, 1, 1], [7, 0, 2]):
        for leading in ((), (3,)):
            for variance in ("biased", "unbiased"):
                for momentum in (0.1, None):
                    check(shares, leading, variance, momentum, affine=leading == ())
    with pytest.raises(ValueError, match="more than one value per channel"):
        SynchronizedBatchNorm1d(2)(torch.zeros(int(dist.get_rank() == 0), 2))
    dist.destroy_process_group()
    print("all equal")


if __name__ == "__main__":
    main()
