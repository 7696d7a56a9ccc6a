"""Counts and smoothed probabilities against the definitions written out in plain Python."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models.counting import add_k, context_numbers, count_windows, witten_bell

WORDS = ["abba", "cab", "a", "bb", "abc", "abba"]
VOCABULARY = Vocabulary("abcd")  # d never occurs
V = 5


def histories(context: int) -> list[tuple[tuple[int, ...], int]]:
    """Every (history, symbol) of the words, histories padded with 0 from the left."""
    pairs = []
    for word in WORDS:
        symbols = [0] * context + VOCABULARY.encode(word) + [0]
        for end in range(context, len(symbols)):
            pairs.append((tuple(symbols[end - context : end]), symbols[end]))
    return pairs


def witten_bell_written_out(
    pairs: list[tuple[tuple[int, ...], int]], history: tuple[int, ...], c: int
) -> float:
    """P(c | history) by the recursion."""
    followers = Counter(symbol for past, symbol in pairs if past[len(past) - len(history) :] == history)
    lower = witten_bell_written_out(pairs, history[1:], c) if history else 1 / V
    total, distinct = sum(followers.values()), len(followers)
    return (followers[c] + distinct * lower) / (total + distinct) if total else lower


@pytest.mark.parametrize("context", [1, 2, 3])
def test_counts(context: int) -> None:
    tokens, targets = build_windows(WORDS, VOCABULARY, context)
    counts = count_windows(tokens, targets, V)
    expected = Counter(histories(context))
    assert counts.shape == (V**context, V)
    for row, history in enumerate(itertools.product(range(V), repeat=context)):
        assert [expected[history, symbol] for symbol in range(V)] == counts[row].tolist()


def test_contexts_are_numbered_in_order() -> None:
    contexts = torch.cartesian_prod(*[torch.arange(V)] * 3)
    assert torch.equal(context_numbers(contexts, V), torch.arange(V**3))


@pytest.mark.parametrize("k", [0.0, 0.1, 1.0])
def test_add_k(k: float) -> None:
    tokens, targets = build_windows(WORDS, VOCABULARY, 1)
    probabilities = add_k(count_windows(tokens, targets, V), k)
    followers = Counter(symbol for past, symbol in histories(1) if past == (1,))
    for symbol in range(V):
        expected = (followers[symbol] + k) / (sum(followers.values()) + k * V)
        assert probabilities[1, symbol].item() == pytest.approx(expected, rel=1e-15)
    assert probabilities[4].tolist() == [1 / V] * V  # nothing ever followed d
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(V, dtype=torch.float64), rtol=1e-15)


@pytest.mark.parametrize("context", [1, 2, 3])
def test_witten_bell(context: int) -> None:
    tokens, targets = build_windows(WORDS, VOCABULARY, context)
    probabilities = witten_bell(tokens, targets, V)
    pairs = histories(context)
    for row, history in enumerate(itertools.product(range(V), repeat=context)):
        expected = [witten_bell_written_out(pairs, history, symbol) for symbol in range(V)]
        # At most four float64 divisions, one after another.
        assert probabilities[row].tolist() == pytest.approx(expected, rel=1e-14)
