"""The models that are a table of logits: counted, against the plain-Python models; and trained."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models import SCHEMES, Bigram, NGram
from namegen_ext.models.counting import count_windows
from namegen_ext.sampling import sample_names
from namegen_ext.training import evaluate

LETTERS = "abcdef"
VOCABULARY = Vocabulary(LETTERS)
V = len(VOCABULARY)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def words(seed: int, number: int = 60) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(LETTERS, k=draw.randint(1, 7))) for _ in range(number)]


def windows(block_size: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    return build_windows(words(seed), VOCABULARY, block_size)


def reference(estimator: str, block_size: int, smoothing: float) -> Any:
    """The same counting model in plain Python."""
    ngram = pytest.importorskip(
        "namegen_reference.ngram", reason="python/ is not on the path: put it on PYTHONPATH"
    )
    model = (
        ngram.WittenBell(block_size, LETTERS)
        if estimator == "witten-bell"
        else ngram.AddK(block_size + 1, smoothing, LETTERS)
    )
    return model.fit(words(1))


@pytest.mark.parametrize(
    ("estimator", "block_size", "smoothing"),
    [
        ("add-k", 1, 1.0),
        ("add-k", 2, 0.1),
        ("add-k", 3, 0.5),
        ("witten-bell", 1, 1.0),
        ("witten-bell", 4, 1.0),
    ],
)
def test_counted_is_the_plain_python_model(estimator: str, block_size: int, smoothing: float) -> None:
    expected = reference(estimator, block_size, smoothing)
    model = NGram(V, block_size)
    model.set_from_windows(*windows(block_size), estimator=estimator, smoothing=smoothing)
    held_out = words(2)
    loss = evaluate(model, *build_windows(held_out, VOCABULARY, block_size))
    # Logits below 10 in float32, and their softmax: some 3 roundings of 6e-8 times 10 each, averaged.
    assert loss == pytest.approx(expected.nll(held_out), abs=2e-6)


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_a_bigram_from_counts_is_the_one_from_windows(smoothing: float) -> None:
    tokens, targets = windows(1)
    counted = Bigram.from_counts(count_windows(tokens, targets, V), smoothing)
    other = Bigram(V, init="counts")
    other.set_from_windows(tokens, targets, smoothing=smoothing)
    assert torch.equal(counted.table.weight, other.table.weight)
    general = NGram(V, 1)
    general.set_from_windows(tokens, targets, smoothing=smoothing)
    assert torch.equal(general(tokens)[0], counted(tokens)[0])


def test_unsmoothed_counts_are_the_lowest_loss_on_their_words() -> None:
    tokens, targets = windows(1)
    counts = count_windows(tokens, targets, V)  # (V, V)
    expected = -(counts * (counts / counts.sum(dim=1, keepdim=True)).log().nan_to_num(neginf=0)).sum()
    loss = evaluate(Bigram.from_counts(counts, 0.0), tokens, targets)
    assert loss == pytest.approx(expected.item() / len(targets), abs=2e-6)  # float32 logits, as above


def test_what_never_occurred_is_never_drawn_without_smoothing() -> None:
    vocabulary = Vocabulary("ab")
    model = NGram(3, 2)
    model.set_from_windows(*build_windows(["ab", "aab"], vocabulary, 2), smoothing=0.0)
    assert bool(model.table.weight.isfinite().all())
    names = sample_names(model, vocabulary, 300, seed=1, temperature=2.0)
    # a is followed by a or b, aa by b, ab by the end.
    assert set(names) == {"ab", "aab"}


def test_training_reaches_the_counts() -> None:
    tokens, targets = windows(1)
    model = Bigram(V, generator=generator())
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    for _ in range(400):
        optimizer.zero_grad()
        _, loss = model(tokens, targets)
        assert loss is not None
        loss.backward()
        optimizer.step()
    counted = evaluate(Bigram.from_counts(count_windows(tokens, targets, V), 0.0), tokens, targets)
    assert counted is not None
    # The counts are the minimum. Gradient descent nears it from above; those pairs that never occur, at most
    # 49 probabilities, go down with 1 / (rate * steps * their share).
    assert counted <= loss.item() < counted + 0.02


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_are_the_draws_times_the_factor(scheme: str) -> None:
    draws = torch.randn(V, V, generator=generator(5))
    model = Bigram(V, init=scheme, generator=generator(5))
    assert torch.equal(model.table.weight, draws * SCHEMES[scheme].output_weight)


def test_counts_are_even_until_they_are_set() -> None:
    logits, loss = NGram(V, 2)(torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    assert logits.tolist() == [[0.0] * V]
    assert loss is not None
    assert loss.item() == pytest.approx(math.log(V), rel=1e-6)


def test_the_bigram_is_stock_layers() -> None:
    model = Bigram(V)
    assert type(model.net) is nn.Sequential
    assert [type(layer) for layer in model.net] == [nn.Embedding, nn.Flatten]
    assert sum(parameter.numel() for parameter in Bigram(27).parameters()) == 729


@pytest.mark.parametrize("leading", [(), (4,), (2, 3)])
@pytest.mark.parametrize("model", [Bigram(V, generator=generator()), NGram(V, 2, "plain", generator())])
def test_forward_looks_the_context_up(model: NGram, leading: tuple[int, ...]) -> None:
    tokens = torch.randint(V, (*leading, model.block_size), generator=generator(1))
    targets = torch.randint(V, leading, generator=generator(2))
    logits, loss = model(tokens, targets)
    rows = (tokens * torch.tensor([V**place for place in range(model.block_size)]).flip(0)).sum(-1)
    assert torch.equal(logits, model.table.weight[rows])
    assert loss is not None
    expected = F.cross_entropy(logits.reshape(-1, V), targets.reshape(-1))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("model", [Bigram(V, init="counts"), NGram(V, 3, "plain", generator())])
def test_config_survives_json_and_rebuilds(model: NGram) -> None:
    rebuilt = type(model)(**json.loads(json.dumps(model.config)), generator=generator())
    assert rebuilt.config == model.config
    assert torch.equal(rebuilt.table.weight, model.table.weight)


@pytest.mark.parametrize("token", [-1, V])
@pytest.mark.parametrize("block_size", [1, 2])
def test_a_token_out_of_range_is_an_index_error(token: int, block_size: int) -> None:
    with pytest.raises(IndexError):
        NGram(V, block_size)(torch.full((2, block_size), token))
    with pytest.raises(IndexError):
        Bigram(V)(torch.full((2, 1), token))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be a positive integer, but got 0"),
        ({"block_size": 1.5}, "block_size must be a positive integer, but got 1.5"),
        ({"init": "xavier"}, "init must be one of plain, .*, counts, but got 'xavier'"),
        ({"block_size": 5}, r"block_size must leave a table of at most 67,108,864 values, but got 5"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NGram(**{"vocab_size": 27, **options})


def test_wrong_counts_are_named() -> None:
    tokens, targets = windows(2)
    model = NGram(V, 2)
    with pytest.raises(ValueError, match="estimator must be one of add-k, witten-bell, but got 'none'"):
        model.set_from_windows(tokens, targets, estimator="none")
    with pytest.raises(ValueError, match=r"smoothing must be a finite number of at least 0, but got -1"):
        model.set_from_windows(tokens, targets, smoothing=-1)
    with pytest.raises(ValueError, match=r"tokens must be \(.*, 2\)"):
        model.set_from_windows(tokens[:, :1], targets)
    with pytest.raises(ValueError, match=r"counts must be \(V, V\)"):
        Bigram.from_counts(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="smoothing must be"):
        Bigram.from_counts(torch.zeros(3, 3), float("nan"))
