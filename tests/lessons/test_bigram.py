from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from namegen_ext.data import load_words
from namegen_reference.ngram import AddK
from namegen_reference.words import split_words


def test_losses_are_those_of_the_reference(
    run_lesson: Callable[[str], str], number_after: Callable[[str, str], float]
) -> None:
    out = run_lesson("bigram")
    words = load_words("census").words
    best = AddK(2, 0).fit(words).nll(words)
    # Printed to four decimals, computed in float32 over 36,122 pairs.
    assert number_after(out, "mean negative log-likelihood") == pytest.approx(best, abs=1e-4)
    steps = [float(loss) for loss in re.findall(r"step +\d+: loss ([\d.]+)", out)]
    assert steps == sorted(steps, reverse=True)
    assert best < steps[-1] < best + 0.05

    train, dev, _ = split_words(words)
    for k in (0, 1, 100):
        expected = AddK(2, k, "abcdefghijklmnopqrstuvwxyz").fit(train).nll(dev)
        printed = number_after(out, f"{k} added to every count: loss on the other names")
        assert printed == (math.inf if math.isinf(expected) else pytest.approx(expected, abs=1e-4))


def test_names_stand_side_by_side(run_lesson: Callable[[str], str]) -> None:
    out = run_lesson("bigram")
    section = out.split("4. Names")[1].split("5. ")[0].splitlines()
    header, rows = section[1], [line for line in section[2:] if line.strip()]
    assert re.split(r" {2,}", header.strip()) == ["before training", "after training", "from the counts"]
    assert len(rows) == 8
    # The names from the counts are made of pairs that occur in the data.
    text = "." + ".".join(load_words("census").words) + "."
    for row in rows:
        name = row[51:].strip()
        padded = f".{name}." if len(name) < 22 else f".{name}"  # a long one is cut off
        assert all(padded[i : i + 2] in text for i in range(len(padded) - 1)), name
