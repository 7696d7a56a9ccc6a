"""The plain-Python models and the package's own, on the same words, in doubles."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models import NGram
from namegen_reference.bigram import BigramNetwork, count_pairs
from namegen_reference.ngram import AddK, CountingModel, WittenBell

WORDS = ["emma", "olivia", "ava", "mia", "emma", "eve", "lia"]
OTHERS = ["evi", "ola", "mmm", "v"]
VOCABULARY = Vocabulary("aeilmov")
TOLERANCE = 1e-9  # doubles; logarithms and sums of a few dozen numbers of the size of 1 lose far less


def package_nll(block_size: int, estimator: str, smoothing: float) -> float:
    model = NGram(len(VOCABULARY), block_size).double()
    model.set_from_windows(
        *build_windows(WORDS, VOCABULARY, block_size), estimator=estimator, smoothing=smoothing
    )
    tokens, targets = build_windows(OTHERS, VOCABULARY, block_size)  # (n, block_size), (n,)
    logits, _ = model(tokens)  # (n, V)
    return F.cross_entropy(logits, targets).item()


@pytest.mark.parametrize("block_size", [1, 2, 3])
@pytest.mark.parametrize("k", [0.1, 1.0])
def test_add_k(block_size: int, k: float) -> None:
    reference: CountingModel = AddK(block_size + 1, k, "aeilmov").fit(WORDS)
    assert package_nll(block_size, "add-k", k) == pytest.approx(reference.nll(OTHERS), abs=TOLERANCE)


@pytest.mark.parametrize("block_size", [1, 2, 4])
def test_witten_bell(block_size: int) -> None:
    reference = WittenBell(block_size, "aeilmov").fit(WORDS)
    assert package_nll(block_size, "witten-bell", 1.0) == pytest.approx(reference.nll(OTHERS), abs=TOLERANCE)


def test_a_step_of_the_bigram_network() -> None:
    reference = BigramNetwork(len(VOCABULARY), random.Random(4))
    model = NGram(len(VOCABULARY), 1).double()
    with torch.no_grad():
        model.table.weight.copy_(torch.tensor(reference.weight, dtype=torch.float64))
    tokens, targets = build_windows(WORDS, VOCABULARY, 1)  # (n, 1), (n,)
    optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
    losses = reference.train(count_pairs(WORDS, "aeilmov"), 10, learning_rate=3.0, weight_penalty=0.0)
    for expected in losses:
        _, loss = model(tokens, targets)
        assert loss is not None
        assert loss.item() == pytest.approx(expected, abs=TOLERANCE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
