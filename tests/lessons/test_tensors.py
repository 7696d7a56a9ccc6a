from __future__ import annotations

from collections.abc import Callable


def test_what_it_says_is_so(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("tensors")
    assert "a * b = [10.0, 40.0, 90.0]" in out
    rows = [[10 * column + row for column in range(4)] for row in range(3)]
    for row in rows:  # broadcasting (3, 1) + (4,)
        assert " ".join(f"{number:4d}" for number in row) in out
    # [[1, 3], [6, 2]] divided by the sums of its rows, 4 and 8: first the rows, which is right, then the columns.
    assert "with keepdim=True the rows sum to [1.0, 1.0]" in out
    assert f"the rows sum to [{1 / 4 + 3 / 8}, {6 / 4 + 2 / 8}]" in out
    assert f"y[1, 3] = {3 * 2 + 4 * 0}; the sum over the inner size by hand: 6" in out
    assert "numbers is [100, 1, 2, 3, 4, 5]" in out
    assert "strides (3, 1), its transpose (1, 3)" in out
    assert "the variance of [4.0, 5.0, 9.0]: 7 divides by n - 1, 4.66667 by n" in out  # 14 / 2 and 14 / 3
    assert out.count(": True") == 2
    assert "False" not in out
