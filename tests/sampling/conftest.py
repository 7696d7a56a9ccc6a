from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from namegen_ext.data import Vocabulary


class SmallModel(nn.Module):
    """Embedding, dropout (so that the mode matters) and one linear layer over a short context."""

    def __init__(self, vocab_size: int, block_size: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.block_size = block_size
        self.embedding = nn.Embedding(vocab_size, 5)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(block_size * 5, vocab_size)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator))

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, None]:
        embedded = self.dropout(self.embedding(tokens).flatten(1))  # (N, block_size * 5)
        return self.linear(embedded), None


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing from a second thread, which on a busy machine costs dearly."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary("abcde")


@pytest.fixture
def model(vocabulary: Vocabulary) -> SmallModel:
    return SmallModel(len(vocabulary), block_size=2)


@pytest.fixture
def one_letter_model(vocabulary: Vocabulary) -> SmallModel:
    return SmallModel(len(vocabulary), block_size=1)


@pytest.fixture
def one_letter_network(vocabulary: Vocabulary) -> nn.Module:
    """A network with one hidden layer over one letter, which the native sampler can evaluate."""
    layers = nn.Sequential(nn.Embedding(6, 5), nn.Flatten(), nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 6))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator))

    class OneLetterNetwork(nn.Module):
        block_size = 1

        def __init__(self) -> None:
            super().__init__()
            self.net = layers

        def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, None]:
            return self.net(tokens), None

    return OneLetterNetwork()
