"""Steps or seconds, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namegen_ext.options.checkpoint_interval import CheckpointInterval


@given(
    st.one_of(
        st.integers(0, 10**15 - 1).map(str),
        st.decimals("0.000000000000001", "999999999999999", places=15).map(lambda number: f"{number:f}s"),
        st.integers(1, 10**15 - 1).map(lambda number: f"{number}s"),
    )
)
def test_what_was_read_is_written_so_that_it_is_read_the_same(text: str) -> None:
    interval = CheckpointInterval.parse(text)
    assert CheckpointInterval.parse(str(interval)) == interval


def test_it_is_written_as_people_would() -> None:
    for text in ("0", "500", "30s", "0.5s", "1000000s", "0.00001s"):
        assert str(CheckpointInterval.parse(text)) == text


@pytest.mark.parametrize("text", ["", "s", "0s", "-1", "1e6s", "30m", "1.s", "nan", "٣s"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number of steps, such as 500, or seconds"):
        CheckpointInterval.parse(text)
