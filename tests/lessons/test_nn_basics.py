from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

# Value and slope in closed form.
ACTIVATIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "ReLU": (lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "LeakyReLU": (lambda x: x if x > 0 else 0.1 * x, lambda x: 1.0 if x > 0 else 0.1),
    "ELU": (lambda x: x if x > 0 else math.expm1(x), lambda x: 1.0 if x > 0 else math.exp(x)),
    "GELU": (
        lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
        lambda x: 0.5 * math.erfc(-x / math.sqrt(2)) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    ),
    "SiLU": (
        lambda x: x / (1 + math.exp(-x)),
        lambda x: (1 + math.exp(-x) * (1 + x)) / (1 + math.exp(-x)) ** 2,
    ),
    "Tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "Sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
}


def test_the_table_of_activations(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("nn_basics")
    for name, (value, slope) in ACTIVATIONS.items():
        (line,) = re.findall(rf"^   {name} +(-?\d.*)$", out, re.MULTILINE)
        printed = [float(number) for number in re.findall(r"-?\d+\.\d+", line)]
        expected = [function(x) for x in (-3.0, -1.0, 0.5, 3.0) for function in (value, slope)]
        assert printed == pytest.approx(expected, abs=6e-4)  # three decimals


def test_layers_and_losses(
    run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]
) -> None:
    out = run_lesson("nn_basics")
    # float32: two products of at most 8 terms of the size of 1 differ by less than 1e-6.
    assert number_after(out, "by hand the same to") < 1e-6
    assert number_after(out, "one linear layer (difference") < 1e-6
    assert number_after(out, "3 * 4 + 4 =") == 16
    assert number_after(out, "mean squared error") == number_after(out, "by hand") == 0.625
    total = math.exp(2.0) + math.exp(0.5) + math.exp(-1.0)
    loss = (math.log(total) - 2.0 + math.log(3)) / 2
    assert number_after(out, "cross-entropy") == pytest.approx(loss, abs=6e-5)
    assert number_after(out, "softmax of the right one") == pytest.approx(loss, abs=6e-5)
    assert number_after(out, "binary cross-entropy of one logit") == pytest.approx(
        math.log1p(math.exp(-0.3)), abs=6e-5
    )
    assert "exp overflows by hand (nan)" in out


def test_a_line_cannot_part_xor(
    run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]
) -> None:
    out = run_lesson("nn_basics")
    # For every linear model the mean loss over the four examples is at least log 2.
    linear = re.search(r"one linear layer +loss ([\d.]+), (\d) of 4 right", out)
    hidden = re.search(r"a hidden layer of 8 +loss ([\d.]+), (\d) of 4 right", out)
    assert linear is not None
    assert hidden is not None
    assert float(linear.group(1)) >= math.log(2) - 1e-4
    assert int(linear.group(2)) < 4
    assert float(hidden.group(1)) < 0.1
    assert int(hidden.group(2)) == 4
