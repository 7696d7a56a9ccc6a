"""Which symbol follows which."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import torch
from torch import Tensor, nn

from namegen_ext.data import Vocabulary
from namegen_ext.diagnostics import bigram_counts, next_symbol_probabilities


def test_counts(words: list[str], vocabulary: Vocabulary) -> None:
    expected = Counter(pair for word in words for pair in pairwise(f".{word}."))
    symbols = [".", *vocabulary.symbols]
    counts = bigram_counts(words, vocabulary)
    assert counts.shape == (len(symbols), len(symbols))
    for row, before in enumerate(symbols):
        for column, after in enumerate(symbols):
            assert int(counts[row, column]) == expected[before, after]


class Last(nn.Module):
    """Logits from a table, by the last symbol of a context; twice as large where the first one is 1."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(4, 4)
        self.drop = nn.Dropout(0.9)

    def forward(self, tokens: Tensor) -> tuple[Tensor, None]:
        scale = 1.0 + (tokens[:, :1] == 1).float()  # (n, 1)
        return self.drop(self.table(tokens[:, -1]) * scale), None


def test_a_model_of_one_symbol_gives_its_table() -> None:
    model = Last()
    found = next_symbol_probabilities(model, torch.tensor([[0], [2], [3]]), 4)
    expected = model.table.weight.detach().double().softmax(1)
    torch.testing.assert_close(found[[0, 2, 3]], expected[[0, 2, 3]])
    assert found[1].isnan().all(), "no context ends in symbol 1"
    assert model.training
    assert model.drop.training


def test_contexts_that_end_alike_are_averaged() -> None:
    model = Last()
    found = next_symbol_probabilities(model, torch.tensor([[0, 2], [1, 2], [1, 2]]), 4)
    logits = model.table.weight.detach()[2].double()
    expected = (logits.softmax(0) + 2 * (2 * logits).softmax(0)) / 3
    torch.testing.assert_close(found[2], expected, rtol=0, atol=1e-6)  # the model is float32


def test_a_model_over_sequences_is_asked_for_the_next_logits() -> None:
    class OverSequences(Last):
        def next_logits(self, contexts: Tensor) -> Tensor:
            return self.table(contexts[:, -1])

        def forward(self, tokens: Tensor) -> tuple[Tensor, None]:
            raise AssertionError("forward gives logits for each position")

    model = OverSequences()
    found = next_symbol_probabilities(model, torch.tensor([[1, 3]]), 4)
    torch.testing.assert_close(found[3], model.table.weight.detach()[3].double().softmax(0))
