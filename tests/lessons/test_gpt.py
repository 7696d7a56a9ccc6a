from __future__ import annotations

import re
from collections.abc import Callable


def test_attention_by_hand(
    run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]
) -> None:
    out = run_lesson("gpt")
    for row in range(1, 5):  # the running mean's weights
        weights = [1 / row] * row + [0.0] * (5 - row)
        assert "      " + " ".join(f"{weight:.3f}" for weight in weights) in out
    # Doubles; weights and sums of a few numbers of the size of 10.
    assert number_after(out, "the means by a loop differ by") < 1e-12
    assert number_after(out, "torch's scaled_dot_product_attention:") < 1e-12
    assert number_after(out, "at once and one by one differ by") < 1e-12
    assert "changing position 4 changes the outputs at 4 5\n" in out
    assert number_after(out, "changes the output at 5 by") < 1e-12
    assert number_after(out, "with a position embedding added to x, by") > 0.01


def test_scale(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("gpt")
    rows = re.findall(r"D = +(\d+): variance +([\d.]+); largest of 16 weights ([\d.]+), scaled ([\d.]+)", out)
    assert [int(row[0]) for row in rows] == [4, 64, 1024]
    for dim, variance, plain, scaled in rows:
        # The variance of products with only 16 keys: each key's length varies by sqrt(2 / D), their mean by
        # a quarter of that.
        assert abs(float(variance) / int(dim) - 1) < 5 * (2 / int(dim) / 16) ** 0.5 + 0.1
        assert float(plain) > float(scaled)
    plain_weights = [float(row[2]) for row in rows]
    assert plain_weights == sorted(plain_weights)
    assert plain_weights[-1] > 0.9
    assert max(float(row[3]) for row in rows) < 0.4


def test_the_model_learns(
    run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]
) -> None:
    out = run_lesson("gpt")
    assert number_after(out, "width 64, block 16:") == 204_544  # as published
    (tokens,) = re.findall(r"as tokens +\[(.*)\]", out)
    (targets,) = re.findall(r"as targets +\[(.*)\]", out)
    inputs = [int(token) for token in tokens.split(",")]
    outputs = [int(target) for target in targets.split(",")]
    length = outputs.index(0) + 1  # up to the end marker
    assert inputs[0] == 0
    assert inputs[1:length] == outputs[: length - 1]
    assert set(outputs[length:]) == {-1}
    losses = [float(loss) for loss in re.findall(r"step +\d+: dev loss ([\d.]+)", out)]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 2.36  # the bigram's dev loss on this split, see the lesson mlp
