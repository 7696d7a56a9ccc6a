from __future__ import annotations

import math
import re
from collections.abc import Callable


def test_gradients(run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]) -> None:
    out = run_lesson("autograd")
    assert number_after(out, "dz/dx = 2xy =") == 12
    assert number_after(out, "dz/dy = x*x =") == 4
    # d/dx sin(x^2) x at 0.5, in closed form
    exact = math.sin(0.25) + 2 * 0.25 * math.cos(0.25)
    assert math.isclose(number_after(out, "their sum"), exact, abs_tol=1e-6)
    assert math.isclose(number_after(out, "autograd"), exact, abs_tol=1e-6)
    assert [number_after(out, f"after {times} backward() of x*x: x.grad =") for times in (1, 2)] == [4, 8]
    assert number_after(out, "and one more:") == 4
    assert number_after(out, "x * x.detach(): x.grad =") == 2


def test_the_update_rule(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("autograd")
    for rate in (0.1, 0.9, 1.1):
        (line,) = re.findall(rf"rate {rate}:(.*)", out)
        path = [float(number) for number in line.split()[:6]]
        # The distance to 3 is multiplied by 1 - 2 * rate in each step; printed to three decimals.
        for step, w in enumerate(path, start=1):
            assert math.isclose(w, 3 - 3 * (1 - 2 * rate) ** step, abs_tol=6e-4)
        assert ("further off" in line) == (rate > 1)
