"""Runs a lesson and gives what it printed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache

import pytest

from namegen_ext.lessons import main


@cache
def _output(name: str) -> str:
    with redirect_stdout(io.StringIO()) as out:
        assert main([name]) == 0
    return out.getvalue()


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
