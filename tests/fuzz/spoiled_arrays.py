"""Arrays of numpy made wrong in one way or another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

EXTREMES = (0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63))

Draw = Callable[[st.SearchStrategy[Any]], Any]

SPOILS = ("dtype", "shape", "strided", "misaligned", "read only", "byte order", "number", "no array", "huge")


def spoil(draw: Draw, array: np.ndarray, how: str) -> Any:
    """Make an array wrong in one way."""
    if how == "dtype":
        kinds = (
            np.float32,
            np.float64,
            np.int32,
            np.int64,
            np.uint32,
            np.int8,
            np.float16,
            np.complex64,
            object,
        )
        return array.astype(draw(st.sampled_from(kinds)))
    if how == "shape":
        shapes = [(), (0,), (1,), (2,), (5,), (0, 0), (2, 0), (0, 4), (2, 3), (3, 4), (2, 3, 4)]
        return np.zeros(draw(st.sampled_from(shapes)), array.dtype)
    if how == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if how == "misaligned":
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
        moved = raw.view(array.dtype).reshape(array.shape)
        moved[...] = array
        return moved
    if how == "read only":
        array = array.copy()
        array.flags.writeable = False
        return array
    if how == "byte order":
        return array.astype(array.dtype.newbyteorder())
    if how == "no array":
        return draw(st.sampled_from([None, 3, "tokens", [1, 2], {}, b"bytes"]))
    if how == "huge":  # 2^45 rows in no memory at all
        return np.lib.stride_tricks.as_strided(array, (2**45, *array.shape[1:]), (0,) * array.ndim)
    array = array.copy()
    if array.size > 0:
        numbers = (np.nan, np.inf, -np.inf, 1e308) if array.dtype.kind == "f" else EXTREMES
        number = draw(st.sampled_from(numbers))
        if array.dtype.kind == "i":
            info = np.iinfo(array.dtype)
            number = int(np.clip(number, info.min, info.max))
        array.flat[draw(st.integers(0, array.size - 1))] = number
    return array
