"""Small models, a batch, and one thread."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models import MLP


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def words() -> list[str]:
    draw = random.Random(3)
    return ["".join(draw.choices("abcdefgh", k=draw.randint(2, 6))) for _ in range(120)]


@pytest.fixture(scope="session")
def vocabulary(words: list[str]) -> Vocabulary:
    return Vocabulary.from_words(words)


@pytest.fixture(scope="session")
def batch(words: list[str], vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """tokens (96, 3), targets (96,)"""
    tokens, targets = build_windows(words, vocabulary, 3)
    return tokens[:96], targets[:96]


@pytest.fixture(scope="session")
def build_mlp(vocabulary: Vocabulary) -> Callable[..., MLP]:
    """Make a small MLP; the same numbers for the same options."""

    def build(**options: Any) -> MLP:
        small: dict[str, Any] = {
            "embedding_dim": 4,
            "hidden_size": 12,
            "num_hidden_layers": 2,
            "init": "plain",
        }
        generator = torch.Generator().manual_seed(7)
        return MLP(len(vocabulary), 3, generator=generator, **{**small, **options})

    return build
