from __future__ import annotations

import re
from collections.abc import Callable


def test_shapes_and_convolution(
    run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]
) -> None:
    out = run_lesson("wavenet")
    assert "(4, 8, 10) viewed as (4, 4, 20): even and odd positions side by side: True" in out
    assert re.findall(r"level \d: joined (\(.*?\)) +-> (\(.*?\))", out) == [
        ("(4, 4, 20)", "(4, 4, 64)"),
        ("(4, 2, 128)", "(4, 2, 64)"),
        ("(4, 1, 128)", "(4, 1, 64)"),
    ]
    assert re.findall(r"level \d: ([x.]{8})$", out, re.MULTILINE) == ["......xx", "....xxxx", "xxxxxxxx"]
    # Doubles, three levels of sums of at most 128 products of numbers of the size of 1.
    assert number_after(out, "largest difference") < 1e-12
    # Of 12 characters: 5 windows of 4 + 2 + 1 joins; outputs of lengths 11, 9 and 5.
    assert number_after(out, "the tree applies a linear layer") == 5 * (4 + 2 + 1)
    assert number_after(out, "times, the convolutions") == 11 + 9 + 5
    assert number_after(out, "8 = 2 x 2 x 2:") == 76_579  # as published


def test_it_learns(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("wavenet")
    losses = [float(loss) for loss in re.findall(r"step +\d+: dev loss ([\d.]+)", out)]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 2.36  # the bigram's dev loss on this split, see the lesson mlp
