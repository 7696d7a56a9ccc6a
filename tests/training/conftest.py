"""Words that every test here trains on, and small options."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from namegen_ext.training import TrainOptions


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def words() -> list[str]:
    """300 words of two or three syllables, some of them twice."""
    draw = random.Random(0)
    syllables = [consonant + vowel for consonant in "bdklmnrst" for vowel in "aeio"]
    return ["".join(draw.choices(syllables, k=draw.choice((2, 3)))) for _ in range(300)]


@pytest.fixture(scope="session")
def small_options() -> Callable[..., TrainOptions]:
    """Options of a small model and a short run; what is given takes precedence."""

    def build(**options: Any) -> TrainOptions:
        small: dict[str, Any] = {"hidden_size": 16, "embedding_dim": 4, "batch_size": 8, "steps": 40}
        return TrainOptions(**{**small, **options})

    return build


@pytest.fixture(scope="session")
def seeded() -> Callable[[int], torch.Generator]:
    """Make a generator from a seed."""
    return lambda seed: torch.Generator().manual_seed(seed)
