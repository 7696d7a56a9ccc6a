"""The sparse counting model: against plain Python, of any alphabet, saved, copied and tuned."""

from __future__ import annotations

import copy
import io
import pickle
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models import CountModel, NGram, build_model
from namegen_ext.models.count_model import DEFAULT_CONCENTRATION, DEFAULT_DISCOUNTS
from namegen_reference.ngram import AddK, CountingModel, KneserNey, WittenBell

LETTERS = "abcdef"
VOCABULARY = Vocabulary(LETTERS)
V = len(VOCABULARY)
# Sums of a few dozen float64 numbers of the size of 1, in two orders.
TOLERANCE = 1e-12


def words(seed: int, number: int = 60) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(LETTERS, k=draw.randint(1, 7))) for _ in range(number)]


def windows(block_size: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    return build_windows(words(seed), VOCABULARY, block_size)


def counted(block_size: int, estimator: str, smoothing: float = 1.0) -> CountModel:
    model = CountModel(V, block_size, estimator=estimator, smoothing=smoothing)
    model.count(*windows(block_size))
    return model


def reference(block_size: int, estimator: str, smoothing: float) -> CountingModel:
    model: CountingModel
    if estimator == "kneser-ney":
        model = KneserNey(block_size, DEFAULT_DISCOUNTS, DEFAULT_CONCENTRATION, LETTERS)
    elif estimator == "witten-bell":
        model = WittenBell(block_size, LETTERS)
    else:
        model = AddK(block_size + 1, smoothing, LETTERS)
    return model.fit(words(1))


@pytest.mark.parametrize("block_size", [1, 2, 4, 9])
@pytest.mark.parametrize(
    ("estimator", "smoothing"), [("add-k", 1.0), ("add-k", 0.1), ("witten-bell", 1.0), ("kneser-ney", 1.0)]
)
def test_it_is_the_plain_python_model(block_size: int, estimator: str, smoothing: float) -> None:
    model, expected = counted(block_size, estimator, smoothing), reference(block_size, estimator, smoothing)
    tokens, targets = windows(block_size, seed=2)
    logits, loss = model(tokens, targets)
    assert logits.dtype == torch.float64
    assert loss is not None
    assert loss.item() == pytest.approx(expected.nll(words(2)), abs=TOLERANCE)
    history = "." * block_size + "abb"
    probabilities = expected.probabilities(history[-block_size:])
    symbols = [0] * block_size + VOCABULARY.encode("abb")
    found = model(torch.tensor([symbols[-block_size:]]))[0].exp()
    assert found[0].tolist() == pytest.approx(probabilities, abs=TOLERANCE)


@pytest.mark.parametrize("estimator", ["add-k", "witten-bell"])
def test_it_is_the_table_that_can_be_trained(estimator: str) -> None:
    table = NGram(V, 3).double()
    table.set_from_windows(*windows(3), estimator=estimator, smoothing=0.3)
    tokens, _ = windows(3, seed=2)
    expected = table(tokens)[0].log_softmax(dim=1)
    torch.testing.assert_close(counted(3, estimator, 0.3)(tokens)[0], expected, rtol=0, atol=TOLERANCE)


def test_what_never_occurred_is_never_likely_without_smoothing() -> None:
    model = CountModel(3, 2, estimator="add-k", smoothing=0.0)
    model.count(*build_windows(["ab", "aab"], Vocabulary("ab"), 2))
    logits, _ = model(torch.tensor([[1, 2]]))  # after "ab" comes the end
    assert logits.tolist() == [[0.0, -10000.0, -10000.0]]


def test_all_is_even_until_it_has_counted() -> None:
    for estimator in ("add-k", "witten-bell", "kneser-ney"):
        logits, _ = CountModel(V, 2, estimator=estimator)(torch.zeros(1, 2, dtype=torch.int64))
        torch.testing.assert_close(logits.exp(), torch.full((1, V), 1 / V, dtype=torch.float64))


@pytest.mark.parametrize("leading", [(), (4,), (2, 3)])
def test_any_leading_dimensions(leading: tuple[int, ...]) -> None:
    model = counted(3, "kneser-ney")
    tokens = torch.randint(V, (*leading, 3), generator=torch.Generator().manual_seed(1))
    targets = torch.randint(V, leading, generator=torch.Generator().manual_seed(2))
    logits, loss = model(tokens, targets)
    assert logits.shape == (*leading, V)
    flat = torch.stack([model(row[None])[0][0] for row in tokens.reshape(-1, 3)])
    assert torch.equal(logits.reshape(-1, V), flat)
    assert loss is not None
    assert loss.item() == pytest.approx(F.cross_entropy(flat, targets.reshape(-1)).item(), rel=1e-12)


def test_counts_of_examples_are_repeats() -> None:
    tokens, targets = windows(3)
    counts = torch.randint(1, 5, (len(targets),), generator=torch.Generator().manual_seed(3))
    weighted, repeated = (CountModel(V, 3, estimator="witten-bell") for _ in range(2))
    weighted.count(tokens, targets, counts)
    repeated.count(tokens.repeat_interleave(counts, dim=0), targets.repeat_interleave(counts))
    assert torch.equal(weighted(tokens)[0], repeated(tokens)[0])
    assert repeated.state_dict().keys() == weighted.state_dict().keys()
    for name, values in weighted.state_dict().items():
        assert torch.equal(values, repeated.state_dict()[name]), name


def test_counts_need_not_be_whole() -> None:
    tokens, targets = windows(3)
    counts = torch.rand(len(targets), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    counts[::7] = 0
    model = CountModel(V, 3, estimator="add-k")
    model.count(tokens, targets, counts)
    table = NGram(V, 3).double()
    table.set_from_windows(tokens, targets, estimator="add-k", weights=counts)
    held_out, _ = windows(3, seed=2)
    expected = table(held_out)[0].log_softmax(dim=1)
    torch.testing.assert_close(model(held_out)[0], expected, rtol=0, atol=TOLERANCE)
    loaded = CountModel(V, 3, estimator="add-k")
    loaded.load_state_dict(model.state_dict())
    assert torch.equal(loaded(held_out)[0], model(held_out)[0])
    rounded_up = CountModel(V, 3, estimator="kneser-ney")
    rounded_up.count(tokens, targets, counts)
    torch.testing.assert_close(
        rounded_up(held_out)[0].exp().sum(dim=1), torch.ones(len(held_out), dtype=torch.float64)
    )


def test_an_alphabet_of_thousands_takes_what_its_words_take() -> None:
    letters = [chr(0x4E00 + number) for number in range(3000)]
    draw = random.Random(5)
    names = ["".join(draw.choices(letters, k=3)) for _ in range(400)]
    vocabulary = Vocabulary.from_words(names)
    model = CountModel(len(vocabulary), 16, estimator="kneser-ney")
    tokens, targets = build_windows(names, vocabulary, 16)
    model.count(tokens, targets)
    logits, loss = model(tokens[:50], targets[:50])
    assert loss is not None
    assert loss.item() < 4
    torch.testing.assert_close(logits.exp().sum(dim=1), torch.ones(50, dtype=torch.float64))
    assert sum(values.numel() * values.element_size() for values in model.state_dict().values()) < 200_000


def test_it_is_saved_loaded_copied_and_pickled() -> None:
    model = counted(3, "kneser-ney")
    model.set_discounts(torch.full((4, 3), 0.6), torch.full((4,), 0.3))
    tokens, _ = windows(3, seed=2)
    expected = model(tokens)[0]
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    loaded = build_model("ngram", model.config)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(tokens)[0], expected)
    assert model.num_values == loaded.num_values > 0
    assert list(model.parameters()) == []


def test_what_is_put_into_its_buffers_counts() -> None:
    model = counted(2, "witten-bell")
    before = model(torch.tensor([[0, 1]]))[0]
    model.get_buffer("pair_count").mul_(7)
    assert not torch.equal(model(torch.tensor([[0, 1]]))[0], before)
    model.get_buffer("pair_count").zero_()
    with pytest.raises(ValueError, match="pair_count must be above 0"):
        model(torch.tensor([[0, 1]]))


def test_evidence_tells_what_a_probability_is_made_of() -> None:
    model = counted(3, "kneser-ney")
    tokens, targets = windows(3, seed=2)
    evidence = model.evidence(tokens, targets)  # (n, 4, 5)
    assert evidence.shape == (len(targets), 4, 5)
    from namegen_ext.fitting.discounts import Discounts, held_out_probabilities

    discounts = Discounts(model.get_buffer("discounts"), model.get_buffer("concentrations"))
    found = held_out_probabilities(evidence, discounts, V)
    expected = model(tokens)[0].exp()[torch.arange(len(targets)), targets]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("token", [-1, V])
def test_a_token_out_of_range_is_an_index_error(token: int) -> None:
    model = counted(2, "add-k")
    with pytest.raises(IndexError, match="tokens must lie in"):
        model(torch.full((1, 2), token))
    with pytest.raises(IndexError, match="targets must lie in"):
        model.count(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([token]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be a positive integer, but got 0"),
        ({"block_size": 1.5}, "block_size must be a positive integer, but got 1.5"),
        ({"init": "plain"}, "init must be one of counts, but got 'plain'"),
        ({"estimator": "none"}, "estimator must be one of add-k, witten-bell, kneser-ney, but got 'none'"),
        ({"smoothing": -1.0}, "smoothing must be a finite number of at least 0, but got -1.0"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CountModel(**{"vocab_size": 9, **options})


def test_wrong_calls_are_named() -> None:
    model = CountModel(V, 2, estimator="kneser-ney")
    tokens, targets = windows(2)
    with pytest.raises(ValueError, match=r"tokens must be \(.*, 2\)"):
        model.count(tokens[:, :1], targets)
    with pytest.raises(ValueError, match=r"counts must be \(n,\)"):
        model.count(tokens, targets, torch.ones(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"counts must be .* finite numbers of at least 0"):
        model.count(tokens, targets, torch.full((len(targets),), -1.0))
    with pytest.raises(ValueError, match=r"tokens must be \(\.\.\., 2\)"):
        model(torch.zeros(3, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"discounts must be \(3, 3\) and concentrations \(3,\)"):
        model.set_discounts(torch.zeros(4, 3), torch.zeros(3))
    with pytest.raises(ValueError, match="discounts must lie in"):
        model.set_discounts(torch.full((3, 3), 1.5), torch.zeros(3))
    with pytest.raises(ValueError, match="estimator must be 'kneser-ney' for discounts, but is 'add-k'"):
        CountModel(V, 2).set_discounts(torch.zeros(3, 3), torch.zeros(3))
