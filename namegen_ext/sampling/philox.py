"""Random numbers by counter: Philox4x32-10, vectorised over samples.

A counter-based generator has no state. The number for one sample and one step is a function of seed, sample and step
alone. So a name does not depend on how many others are drawn beside it, in which order, or by how many threads.

Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
    SC 2011.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 10
WORDS_PER_BLOCK = 4

_MASK = 0xFFFFFFFF
_MULTIPLIER_0 = 0xD2511F53
_MULTIPLIER_1 = 0xCD9E8D57
_WEYL_0 = 0x9E3779B9  # the golden ratio in 32 bits
_WEYL_1 = 0xBB67AE85  # sqrt(3) - 1 in 32 bits


def _multiply(x: Tensor, multiplier: int) -> tuple[Tensor, Tensor]:
    """Return the high and the low 32 bits of ``x * multiplier``, both factors below 2**32.

    The whole product can pass 2**63. With m = multiplier - 2**32, which is negative and above -2**31 for both
    multipliers, x * m stays in range, and x * multiplier = x * m + x * 2**32: the low half is that of x *
    m, the high half is its (floor) high half plus x.
    """
    product = x * (multiplier - 2**32)
    low = product & _MASK
    return (product >> 32).add_(x), low


def philox4x32(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Encrypt counters with Philox4x32-10.

    Args:
        counter: the four 32-bit words of each counter, least significant first; int64 tensors with values in
            [0, 2**32) whose shapes broadcast.
        key: the two 32-bit words of the key.

    Returns:
        Four int64 tensors with values in [0, 2**32): the random words of each counter.

    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high_0, low_0 = _multiply(c0, _MULTIPLIER_0)
        high_1, low_1 = _multiply(c2, _MULTIPLIER_1)
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return c0, c1, c2, c3


def uniform_block(seed: int, samples: Tensor, block: int, attempt: int | Tensor = 0) -> list[Tensor]:
    """Give four uniform numbers to each sample: those of steps 4*block to 4*block + 3.

    The counter is (low half of the sample's number, high half, block, attempt), the key is the seed's two halves,
    and a word w becomes w / 2**32.

    Args:
        seed: in [0, 2**64).
        samples: (N,) int64, the number of each sample in the stream, in [0, 2**63).
        block: in [0, 2**32).
        attempt: counts the tries for one name, where a try may be rejected; in [0, 2**32). One for all, or (N,).

    Returns:
        Four tensors (N,) float64 in [0, 1), multiples of 2**-32: those of steps 4*block to 4*block + 3.

    """
    counter = (
        samples & _MASK,
        samples >> 32,
        torch.full_like(samples, block),
        torch.zeros_like(samples) + attempt,
    )
    words = philox4x32(counter, (seed & _MASK, seed >> 32))
    return [word.double().mul_(2.0**-32) for word in words]  # (N,) each
