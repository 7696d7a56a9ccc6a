"""Arithmetic on floats as IEEE 754 and torch have it, where Python would raise.

Python raises OverflowError for ``math.exp(1000)``, ZeroDivisionError for ``1.0 / 0.0``, ValueError for
``math.log(0.0)``, and returns a complex number for ``(-8.0) ** 0.5``. Here the results are inf, inf, -inf and nan.
"""

from __future__ import annotations

import math


def exp(x: float) -> float:
    """Return e to the x: inf from about 709.78 on, 0 from about -745.13 down."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """Return the natural logarithm: -inf at 0, nan below."""
    if x == 0:
        return -math.inf
    return math.log(x) if x > 0 else math.nan


def divide(x: float, y: float) -> float:
    """Return x / y: an infinity where y is 0 (its sign that of x times that of the 0), nan for 0 / 0."""
    if y != 0:  # nan too
        return x / y
    if x == 0 or math.isnan(x):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def power(x: float, y: float) -> float:
    """Return x to the y: an infinity where that is too large, nan for a root of a negative number."""
    is_odd = y % 2 == 1 if math.isfinite(y) else False
    sign = math.copysign(1.0, x) if is_odd else 1.0  # of an infinite result
    try:
        return math.pow(x, y)
    except OverflowError:
        return sign * math.inf
    except ValueError:  # 0 to a negative power, or a negative number to one that is not whole
        return sign * math.inf if x == 0 else math.nan
