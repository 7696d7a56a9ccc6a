"""Uniform random numbers by place, for what is chosen once for each name of a stream. Torch is not needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1024


def uniforms(seed: int, first: int, count: int) -> NDArray[np.float64]:
    """Return the uniform numbers of names first to first + count - 1 of a seed's stream.

    Each depends on the seed and its place alone. They are numpy's Philox numbers of a counter that the drawing of
    letters does not use.

    Args:
        seed: in [0, 2**64).
        first: at least 0.
        count: at least 0.

    Returns:
        float64 (count,) in [0, 1).

    """
    begin, end = first // _BLOCK, -(-(first + count) // _BLOCK)
    # A block of 1,024 numbers counts in the lowest of the counter's four words, and has the second for itself.
    blocks = [
        np.random.Generator(np.random.Philox(key=seed, counter=[0, block, 0, 1])).random(_BLOCK)
        for block in range(begin, end)
    ]
    joined = np.concatenate(blocks) if blocks else np.zeros(0)
    return joined[first - begin * _BLOCK :][:count]
