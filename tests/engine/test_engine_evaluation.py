"""Distinct contexts, and the loss over examples that share them."""

from __future__ import annotations

import hypothesis
import pytest
import torch
from hypothesis import strategies as st

from namegen_ext.data import build_windows
from namegen_ext.data.vocabulary import Vocabulary
from namegen_ext.engine.engine_evaluation import distinct_contexts, mean_loss


@hypothesis.given(st.integers(1, 300), st.integers(1, 12), st.integers(1, 60), st.integers(0, 2**31))
def test_distinct_contexts_and_their_numbers(vocab_size: int, block_size: int, n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(vocab_size, (n, block_size), generator=generator)
    contexts, numbers = distinct_contexts(tokens, vocab_size)
    assert torch.equal(contexts[numbers], tokens)
    assert len(contexts) == len(set(map(tuple, tokens.tolist())))


def test_the_loss_counts_every_example() -> None:
    words = ["anna", "ana", "hannah", "anna"]
    vocabulary = Vocabulary.from_words(words)
    tokens, targets = build_windows(words, vocabulary, 2)
    logits = torch.randn(len(vocabulary) ** 2, len(vocabulary), dtype=torch.float64)

    def logits_of(contexts: torch.Tensor) -> torch.Tensor:
        return logits[contexts[:, 0] * len(vocabulary) + contexts[:, 1]]

    expected = torch.nn.functional.cross_entropy(logits_of(tokens), targets)
    assert mean_loss(logits_of, tokens, targets, len(vocabulary)) == pytest.approx(float(expected), abs=1e-12)


def test_wrong_examples_are_named() -> None:
    tokens, targets = torch.tensor([[0, 3]]), torch.tensor([1])
    with pytest.raises(IndexError, match=r"tokens must be in \[0, 3\), but got 0 to 3"):
        mean_loss(torch.zeros, tokens, targets, 3)
    with pytest.raises(IndexError, match=r"targets must be in \[0, 4\), but got -1 to -1"):
        mean_loss(torch.zeros, tokens, targets - 2, 4)
    with pytest.raises(ValueError, match="as many, but got 1 and 2"):
        mean_loss(torch.zeros, tokens, torch.tensor([1, 1]), 4)
