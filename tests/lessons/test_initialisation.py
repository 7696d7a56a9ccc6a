from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest


def test_first_losses(run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]) -> None:
    out = run_lesson("initialisation")
    losses = [float(loss) for loss in re.findall(r"output weights times.*loss ([\d.]+)", out)]
    assert losses[0] > 3 * math.log(27)
    assert losses == sorted(losses, reverse=True)
    # Logits of standard deviation s cost about s^2 / 2 more than even ones, here 0.09^2 / 2 = 0.004.
    assert losses[-1] == pytest.approx(math.log(27), abs=0.01)


def test_saturation_and_depth(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("initialisation")
    saturated = [float(share) for share in re.findall(r"beyond 0.97 +([\d.]+)%", out)]
    assert saturated == sorted(saturated, reverse=True)
    assert saturated[0] > 50
    assert saturated[-1] == 0

    def sizes(name: str) -> list[float]:
        (line,) = re.findall(rf"^   {re.escape(name)} +(.*)$", out, re.MULTILINE)
        return [float(size) for size in line.split()]

    # Each layer keeps the size: 1000 x 100 numbers, of which each layer's weights draw 100 columns at random.
    assert sizes("linear, gain 1") == pytest.approx([1] * 6, abs=0.1)
    assert sizes("linear, no scaling") == pytest.approx([10.0**layer for layer in range(1, 7)], rel=0.1)
    assert sizes("tanh, gain 1") == sorted(sizes("tanh, gain 1"), reverse=True)
    assert sizes("tanh, gain 1")[-1] < 0.35
    assert 0.6 < sizes("tanh, gain 5/3")[-1] < 0.7


def test_batch_norm(run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]) -> None:
    out = run_lesson("initialisation")
    # float32: numbers of the size of 3 with a relative error of 2^-24 in each of a few steps.
    assert number_after(out, "largest difference to torch.nn.BatchNorm1d:") < 5e-6
    assert number_after(out, "divided by n - 1 it would be") == pytest.approx(math.sqrt(31 / 32), abs=1e-4)
    # The running mean forgets as 0.9^steps; the mean of 32 numbers of deviation 2, averaged over the last
    # ten or so batches, is known to 2 / sqrt(320) = 0.11.
    means = [float(mean) for mean in re.findall(r"running mean ([\d.]+), variance", out)]
    for steps, mean in zip((1, 10, 100), means, strict=True):
        assert mean == pytest.approx(5 * (1 - 0.9**steps), abs=0.6)
    assert number_after(out, "above the mean:") == pytest.approx(1, abs=0.25)
    assert number_after(out, "its gradient is 0:") < 1e-12  # doubles
