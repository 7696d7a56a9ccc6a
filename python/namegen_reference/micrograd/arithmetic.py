"""Arithmetic on floats that follows IEEE 754, as torch does, where Python would raise an error.

Python raises OverflowError for ``math.exp(1000)``, ZeroDivisionError for ``1.0 / 0.0`` and ValueError for
``math.log(0.0)``, and returns a complex number for ``(-8.0) ** 0.5``. Here the results are inf, inf, -inf and nan.
"""

from __future__ import annotations

import math


def exp(x: float) -> float:
    """Return e to the power of x. It is inf from about 709.78 upwards, and 0 from about -745.13 downwards."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """Return the natural logarithm. It is -inf at 0, and nan below 0."""
    if x == 0:
        return -math.inf
    return math.log(x) if x > 0 else math.nan


def divide(x: float, y: float) -> float:
    """Return x / y. It is nan for 0 / 0, and an infinity for other x where y is 0.

    The sign of the infinity is the product of the signs of x and of the 0.
    """
    if y != 0:  # this holds for nan too
        return x / y
    if x == 0 or math.isnan(x):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def power(x: float, y: float) -> float:
    """Return x to the power of y: an infinity where that is too large, and nan for a root of a negative number."""
    is_odd = y % 2 == 1 if math.isfinite(y) else False
    sign = math.copysign(1.0, x) if is_odd else 1.0  # the sign of an infinite result
    try:
        return math.pow(x, y)
    except OverflowError:
        return sign * math.inf
    except ValueError:  # 0 to a negative power, or a negative number to a power that is not whole
        return sign * math.inf if x == 0 else math.nan
