"""Small models of every kind, and words for them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from namegen_ext import Generator, fit

sys.path.insert(0, str(Path(__file__).parent))

OPTIONS: dict[str, dict[str, Any]] = {
    "bigram": {"model": "bigram", "steps": 20, "block_size": 1},
    "counts": {"model": "ngram", "init": "counts", "steps": 0, "estimator": "kneser-ney", "block_size": 3},
    "table": {"model": "ngram", "init": "plain", "steps": 5, "block_size": 2},
    "mlp": {"model": "mlp", "steps": 40, "hidden_size": 16, "embedding_dim": 4},
    "wavenet": {"model": "wavenet", "steps": 20, "hidden_size": 8, "embedding_dim": 4, "block_size": 4},
    "gpt": {"model": "gpt", "steps": 10, "embedding_dim": 8, "num_layers": 1, "num_heads": 2, "block_size": 5,
            "optimizer": "adamw", "learning_rate": 1e-3},
    "mixture": {"model": "mixture", "budget": 1.0},
}  # fmt: skip


@pytest.fixture(scope="session")
def words() -> list[str]:
    draw = random.Random(3)
    return sorted({"".join(draw.choices("abcdeé", k=draw.randint(1, 8))) for _ in range(150)})


@pytest.fixture(scope="session")
def generator_of(words: list[str]) -> Callable[[str], Generator]:
    made: dict[str, Generator] = {}

    def make(kind: str) -> Generator:
        if kind not in made:
            made[kind] = fit(words, **OPTIONS[kind])
        return made[kind]

    return make


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
