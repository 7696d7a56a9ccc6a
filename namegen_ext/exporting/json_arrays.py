"""Arrays as JSON can hold them: ``{"dtype": "float32", "shape": [27, 10], "data": BASE64}``.

The data are little endian and row-major.
"""

from __future__ import annotations

import base64
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Tensor: TypeAlias = dict[str, Any]

# The integer types of the format, from the narrowest on.
_UNSIGNED = (np.uint8, np.uint16, np.uint32)
_MOST_EXACT = 2**53  # from here on float64 does not hold every whole number


def float_tensor(array: NDArray[Any]) -> Tensor:
    """Write numbers as float32."""
    return _tensor(np.asarray(array, dtype=np.float32))


def number_tensor(array: NDArray[Any]) -> Tensor:
    """Write numbers without loss: whole ones from 0 on as the narrowest integers that hold them, others as float64."""
    array = np.asarray(array)
    is_whole = array.size == 0 or bool((array == np.floor(array)).all() and array.min() >= 0)
    largest = int(array.max()) if array.size else 0
    for dtype in _UNSIGNED:
        if is_whole and largest <= np.iinfo(dtype).max:
            return _tensor(array.astype(dtype))
    assert largest <= _MOST_EXACT
    return _tensor(array.astype(np.float64))


def array_of(tensor: Tensor) -> NDArray[Any]:
    """Read a tensor that one of the functions above wrote."""
    dtype = np.dtype(tensor["dtype"]).newbyteorder("<")
    return np.frombuffer(base64.b64decode(tensor["data"]), dtype=dtype).reshape(tensor["shape"])


def _tensor(array: NDArray[Any]) -> Tensor:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "data": base64.b64encode(little.tobytes()).decode("ascii"),
    }
