"""Ranges of numbers: what belongs to them, and which texts stand for a number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.options.ranges import SEEDS, Numbers, WholeNumbers

SMALL = WholeNumbers(-3, 12_345)
CLOSED, OPEN = Numbers(-1.5, 2e5), Numbers(0.0, 1.0, low_is_open=True, high_is_open=True)


@pytest.mark.parametrize("value", [-4, 12_346, 1.0, True, "1", None, 10**400])
def test_not_one_of_the_whole_numbers(value: object) -> None:
    assert value not in SMALL
    assert -3 in SMALL
    assert 12_345 in SMALL


@pytest.mark.parametrize("value", [-1.6, 2.1e5, math.nan, math.inf, -math.inf, True, "1", None, 10**400])
def test_not_one_of_the_numbers(value: object) -> None:
    assert value not in CLOSED


def test_limits_that_belong_and_that_do_not() -> None:
    assert all(value in CLOSED for value in (-1.5, 2e5, 0, 200_000))
    assert all(value not in OPEN for value in (0, 0.0, 1, 1.0))
    assert all(value in OPEN for value in (5e-324, math.nextafter(1, 0)))


@given(st.text(max_size=12) | st.from_regex(r"\A\s?[+-]?\d+(_\d+)?(\.\d*)?(e\d)?\s?\Z"))
def test_only_decimal_digits_are_read(text: str) -> None:
    for allowed in (SMALL, CLOSED):
        try:
            value = allowed.parse(text)
        except ValueError:
            continue
        assert value in allowed
        assert set(text) <= set("+-.eE0123456789")
        assert value == float(text)


@given(st.integers(-10, 13_000))
def test_whole_numbers_are_read_as_they_are_written(value: int) -> None:
    if value in SMALL:
        assert SMALL.parse(str(value)) == value
    else:
        with pytest.raises(ValueError, match=r"^expected a whole number from -3 to 12,345$"):
            SMALL.parse(str(value))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_numbers_are_read_as_they_are_written(value: float) -> None:
    if value in CLOSED:
        assert CLOSED.parse(repr(value)) == value
    else:
        with pytest.raises(ValueError, match=r"^expected a number from -1.5 to 200000$"):
            CLOSED.parse(repr(value))


def test_in_words() -> None:
    assert str(SEEDS) == "a whole number from 0 to 2**64 - 1"
    assert str(OPEN) == "a number above 0, below 1"
    assert str(Numbers(0.0, 1.0, high_is_open=True)) == "a number from 0, below 1"
    assert str(Numbers(0.0, 3e38, low_is_open=True)) == "a number above 0, at most 3e+38"
