"""Runs a lesson and gives what it printed."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache

import pytest

from namegen_ext.data import load_words
from namegen_ext.lessons import main
from namegen_reference.ngram import WittenBell


@cache
def _output(name: str) -> str:
    with redirect_stdout(io.StringIO()) as out:
        assert main([name, "--no-code"]) == 0
    lesson = out.getvalue().partition("\nExercises\n")[0]
    return re.sub(r"^source: .*\n\n", "", lesson, flags=re.MULTILINE)


@pytest.fixture
def run_lesson() -> Callable[[str], str]:
    """Return a function from a lesson's name to its output; each lesson is run once."""
    return _output


@pytest.fixture
def number_after() -> Callable[[str, str], float]:
    """Return a function from an output and a text in it to the number that follows the text."""

    def find(output: str, text: str) -> float:
        found = re.search(re.escape(text) + r"\s*(-?[\d.,]+(?:e[+-]?\d+)?|inf)", output)
        assert found is not None, f"{text!r} is not in:\n{output}"
        return float(found.group(1).rstrip(".,").replace(",", ""))

    return find


@pytest.fixture(scope="session")
def spelling_gain() -> Callable[[list[str]], float]:
    """Return a function that says how much likelier the spelling of names is than chance, in nats per character.

    Chance is the same letters of each name in another order. A model that counts up to four letters of context, in the
    list that the lessons learn from, says how likely a spelling is.
    """
    model = WittenBell(4, "abcdefghijklmnopqrstuvwxyz").fit(load_words("census").words)

    def gain(names: list[str]) -> float:
        rng = random.Random(0)
        shuffled = ["".join(rng.sample(name, len(name))) for name in names * 20]
        return model.nll(shuffled) - model.nll(names)

    return gain
