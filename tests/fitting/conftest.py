"""What is fitted here runs on one thread."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def names() -> list[str]:
    """Distinct names of two to four syllables, in letters that pre-training does not know."""
    draw = random.Random(0)
    made: dict[str, None] = {}
    while len(made) < 220:
        syllables = [draw.choice("βδκλμν") + draw.choice("αεο") for _ in range(draw.randint(2, 4))]
        made["".join(syllables) + draw.choice(["", "ς"])] = None
    return list(made)
