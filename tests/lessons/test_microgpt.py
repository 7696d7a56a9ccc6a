from __future__ import annotations

import re
from collections.abc import Callable


def test_the_parts(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("microgpt")
    assert "as one operation       32, gradient by the first factors 4 5 6, 7 values" in out
    assert "as products and sums   32, gradient by the first factors 4 5 6, 11 values" in out
    lengths = [float(length) for length in re.findall(r"length ([\d.]+)\n", out)]
    assert len(lengths) == 3
    assert lengths[1:] == [2.0, 2.0]  # sqrt(4)
    assert 1.5 < lengths[0] < 2.0  # where 1e-5 counts


def test_three_ways_to_one_loss(
    run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]
) -> None:
    out = run_lesson("microgpt")
    assert number_after(out, "losses to those of plain Python:") < 1e-9
    first = [float(loss) for loss in re.findall(r"step +\d+: \w+ +loss ([\d.]+)", out)]
    assert 3.2 < first[0] < 3.5  # near log 27 = 3.296
    assert number_after(out, "mean of the last 100 losses") < 2.7
