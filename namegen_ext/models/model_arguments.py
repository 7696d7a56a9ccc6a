"""Checks of the models' constructor arguments. Their errors are one sentence that names the argument."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any


def check_sizes(sizes: Mapping[str, Any]) -> None:
    """Accept positive integers.

    Raises:
        ValueError: a value is something else.

    """
    for argument, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{argument} must be a positive integer, but got {value!r}")


def check_flags(flags: Mapping[str, Any]) -> None:
    """Accept True and False.

    Raises:
        ValueError: a value is something else.

    """
    for argument, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{argument} must be True or False, but got {value!r}")


def check_choice(argument: str, value: Any, choices: Collection[str]) -> None:
    """Accept one of some names.

    Raises:
        ValueError: ``value`` is something else.

    """
    if value not in choices:
        raise ValueError(f"{argument} must be one of {', '.join(choices)}, but got {value!r}")


def check_factors(factors: Any, block_size: int) -> tuple[int, ...]:
    """Accept positive integers whose product is ``block_size``; None gives its prime factors, ascending.

    A factor of 1 is accepted only where it is the only one. Behind other levels, where one position is left,
    FlattenConsecutive(1) could not tell a batch of one example from a position.

    Raises:
        ValueError: ``factors`` is something else.

    """
    if factors is None:
        return prime_factors(block_size)
    is_sequence = isinstance(factors, Sequence) and not isinstance(factors, str)
    if is_sequence:
        factors = tuple(factors)
    if (
        not is_sequence
        or not factors
        or any(isinstance(factor, bool) or not isinstance(factor, int) or factor < 1 for factor in factors)
        or math.prod(factors) != block_size
        or (1 in factors and len(factors) > 1)
    ):
        raise ValueError(
            f"factors must be integers of at least 2 whose product is block_size {block_size}, but got {factors!r}"
        )
    return factors


def prime_factors(number: int) -> tuple[int, ...]:
    """Return the prime factors of a positive integer in ascending order; (1,) for 1."""
    factors, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor = divisor + 1 if divisor * divisor <= number else max(number, 2)
    return tuple(factors) or (1,)
