from __future__ import annotations

import math
import re
from collections.abc import Callable


def test_by_hand_and_by_engine(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("micrograd")
    pairs = dict(re.findall(r"(\w\d): by hand +(-?[\d.]+), engine +-?[\d.]+", out))
    engine = dict(re.findall(r"(\w\d): by hand +-?[\d.]+, engine +(-?[\d.]+)", out))
    assert pairs == engine
    # o = tanh(0.8814) = 1/sqrt(2): through it passes a half, times the other factor of each product.
    assert {name: float(number) for name, number in engine.items()} == {
        "w1": 1,
        "x1": -1.5,
        "w2": 0,
        "x2": 0.5,
    }
    for name in ("engine", "torch"):
        assert re.search(rf"{name}: +g = 24.7041, dg/da = 138.8338, dg/db = 645.5773", out)


def test_the_network_learns(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("micrograd")
    losses = [float(loss) for loss in re.findall(r"step +\d+: loss ([\d.]+)", out)]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    *_, last = re.findall(r"answers (.*?)   ", out)
    signs = [math.copysign(1, float(answer)) for answer in last.split()]
    assert signs == [1, -1, -1, 1]
