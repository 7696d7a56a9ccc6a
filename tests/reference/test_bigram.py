"""The bigram by counting and by descent, against torch in doubles."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from namegen_ext.data import Vocabulary, build_windows
from namegen_reference.bigram import (
    BigramNetwork,
    count_pairs,
    log_softmax,
    mean_nll,
    row_probabilities,
    sample,
    softmax,
)
from namegen_reference.bigram.__main__ import main
from namegen_reference.ngram import AddK
from namegen_reference.words import WordsError, read_words

WORDS = ["emma", "olivia", "ava", "mia", "emma", "eve", "lia"]
ALPHABET = "aeilmov"
TOLERANCE = 1e-9  # doubles; a few hundred operations on numbers below 100 lose far less


def examples() -> tuple[torch.Tensor, torch.Tensor]:
    tokens, targets = build_windows(WORDS, Vocabulary(ALPHABET), 1)  # (n, 1), (n,)
    return tokens.squeeze(1), targets


def test_counts_are_those_of_the_packages_windows() -> None:
    tokens, targets = examples()
    expected = torch.zeros(8, 8, dtype=torch.int64)
    expected.index_put_((tokens, targets), torch.ones(len(tokens), dtype=torch.int64), accumulate=True)
    assert count_pairs(WORDS, ALPHABET) == expected.tolist()


@pytest.mark.parametrize("k", [0, 0.5, 1])
def test_probabilities_equal_torch(k: float) -> None:
    counts = count_pairs(WORDS, ALPHABET)
    table = torch.tensor(counts, dtype=torch.float64) + k
    expected = table / table.sum(1, keepdim=True)
    actual = torch.tensor(row_probabilities(counts, k), dtype=torch.float64)
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)
    tokens, targets = examples()
    nll = -expected[tokens, targets].log().mean().item()
    assert mean_nll(row_probabilities(counts, k), counts) == pytest.approx(nll, abs=TOLERANCE)
    assert AddK(2, k).fit(WORDS).nll(WORDS) == pytest.approx(nll, abs=TOLERANCE)


def test_a_row_without_counts_is_uniform_and_a_missing_pair_impossible() -> None:
    assert row_probabilities([[0, 0], [1, 3]]) == [[0.5, 0.5], [0.25, 0.75]]
    assert mean_nll([[1.0, 0.0], [0.5, 0.5]], [[1, 1], [0, 0]]) == math.inf


def torch_loss(weight: torch.Tensor, weight_penalty: float) -> torch.Tensor:
    """One-hot inputs times the weight, and cross-entropy over all examples, one by one."""
    tokens, targets = examples()
    one_hot = F.one_hot(tokens, 8).double()  # (n, V)
    logits = one_hot @ weight  # (n, V)
    return F.cross_entropy(logits, targets) + weight_penalty * (weight**2).mean()


@pytest.mark.parametrize("weight_penalty", [0.0, 0.01, 2.0])
def test_descent_equals_autograd(weight_penalty: float) -> None:
    network = BigramNetwork(8, random.Random(3))
    weight = torch.tensor(network.weight, dtype=torch.float64, requires_grad=True)  # (V, V)
    losses = network.train(count_pairs(WORDS, ALPHABET), 20, 5.0, weight_penalty)
    for step in range(21):
        loss = torch_loss(weight, weight_penalty)
        assert losses[step] == pytest.approx(loss.item(), abs=TOLERANCE)
        (gradient,) = torch.autograd.grad(loss, weight)
        if step < 20:
            weight = (weight - 5.0 * gradient).detach().requires_grad_()
    torch.testing.assert_close(
        torch.tensor(network.weight, dtype=torch.float64), weight.detach(), atol=TOLERANCE, rtol=0
    )


def test_without_penalty_descent_finds_the_counts() -> None:
    counts = count_pairs(WORDS * 10, ALPHABET)
    network = BigramNetwork(8, random.Random(0))
    losses = network.train(counts, 4000, learning_rate=20.0, weight_penalty=0.0)
    best = mean_nll(row_probabilities(counts), counts)
    assert losses[-1] >= best  # no table of probabilities has a smaller loss than the counts' own
    # Descent on a smooth convex loss falls behind its minimum by O(1/steps); here the minimum is at infinite
    # logits, where the probability left over, and so the gap, falls as 1/(rate * steps * row share).
    assert losses[-1] - best < 0.01
    assert losses[0] - best > 0.5


def test_logits_of_any_size() -> None:
    for logits in ([1000.0, 0.0, -1000.0], [-1e308, 0.0, 3.0], [7.0]):
        expected = torch.tensor(logits, dtype=torch.float64).log_softmax(0).tolist()
        assert log_softmax(logits) == pytest.approx(expected, abs=TOLERANCE)
        assert math.fsum(softmax(logits)) == pytest.approx(1, abs=1e-12)


def test_sampling() -> None:
    # ".ab." is the only word of these rows: symbols are 0 the end, 1 a, 2 b.
    assert sample([[0, 1, 0], [0, 0, 1], [1, 0, 0]], "ab", random.Random(0)) == "ab"
    assert sample([[0, 1, 0], [0, 1, 0], [1, 0, 0]], "ab", random.Random(0), max_length=7) == "a" * 7
    with pytest.raises(WordsError, match=r"the word 'a\.b' has '\.', but the alphabet is 'ab'"):
        count_pairs(["a.b"], "ab")


def test_published_figures(names_file: Path) -> None:
    words = read_words(str(names_file))
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    counts = count_pairs(words, alphabet)
    assert mean_nll(row_probabilities(counts), counts) == pytest.approx(2.4540145, abs=1e-6)
    assert mean_nll(row_probabilities(counts, k=1), counts) == pytest.approx(2.454577, abs=1e-6)
    # Published: 2.4818 at rate 50 with 0.01 * mean(W^2), from another draw of the weights; tolerance 0.03.
    losses = BigramNetwork(27, random.Random(1)).train(counts, steps=300)
    assert losses[-1] == pytest.approx(2.4818, abs=0.03)


def test_the_command_shows_three_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(WORDS), encoding="utf-8")
    assert main([str(path), "--steps", "50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    values = {line[:20].strip(): float(line[20:]) for line in lines if line.startswith("  ")}
    assert values["from the counts"] < values["after training"] < values["before training"]
    header = lines[-11]
    assert header.split("  ")[0] == "before training"
    assert "after training" in header
    assert header.endswith("from the counts")
    counted = {line[52:].strip() for line in lines[-10:]}
    counts = count_pairs(WORDS, ALPHABET)
    for word in counted - {""}:  # each pair of neighbours in a word from the counts was counted
        assert mean_nll(row_probabilities(counts), count_pairs([word], ALPHABET)) < math.inf


def test_wrong_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["words.txt", "--steps", "-1"])
    assert raised.value.code == 2
    assert "argument --steps: got -1" in capsys.readouterr().err
