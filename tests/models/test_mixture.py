"""Mixtures: what they compute, names of a list made rarer, and that they are models in every respect."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from namegen_ext.data import Vocabulary, build_windows
from namegen_ext.models import Mixture, build_model
from namegen_ext.models.known_names import beginnings, find_nodes, prefix_keys

VOCABULARY = Vocabulary("abc")
V = len(VOCABULARY)
NAMES = ["a", "ab", "abc", "cab", "bb", "ab", "ccccc"]
BLOCK = 5
COMPONENTS: list[dict[str, Any]] = [
    {"name": "ngram", "block_size": 4, "estimator": "kneser-ney"},
    {"name": "mlp", "block_size": 2, "embedding_dim": 3, "hidden_size": 5, "batch_norm": False},
]


def mixture() -> Mixture:
    model = Mixture(V, BLOCK, COMPONENTS, torch.Generator().manual_seed(3))
    model.components[0].count(*build_windows(NAMES, VOCABULARY, 4))  # type: ignore[operator]
    model.register_buffer("weights", torch.tensor([0.7, 0.6], dtype=torch.float64))
    return model.double().eval()  # of float32 products other batches would round otherwise


def symbols(names: list[str]) -> Tensor:
    rows = [[*VOCABULARY.encode(name), *[0] * (7 - len(name))] for name in names]
    return torch.tensor(rows)


def log_probability(model: Mixture, name: str) -> float:
    tokens, targets = build_windows([name], VOCABULARY, model.block_size)
    with torch.no_grad():
        return float(model(tokens)[0][torch.arange(len(targets)), targets].sum())


def all_names(longest: int) -> list[str]:
    return [
        "".join(name) for length in range(longest + 1) for name in itertools.product("abc", repeat=length)
    ]


def test_it_is_the_product_of_powers() -> None:
    model = mixture()
    tokens, targets = build_windows(["cabba", "b"], VOCABULARY, BLOCK)
    counts, mlp = model.components
    product = counts(tokens[:, -4:])[0].exp() ** 0.7 * mlp(tokens[:, -2:])[0].double().softmax(dim=1) ** 0.6
    expected = product / product.sum(dim=1, keepdim=True)
    logits, loss = model(tokens, targets)
    torch.testing.assert_close(logits.exp(), expected, rtol=1e-10, atol=0)
    assert loss is not None
    assert loss.item() == pytest.approx(-expected[torch.arange(8), targets].log().mean().item(), rel=1e-10)
    assert torch.equal(model(tokens.view(2, 4, BLOCK))[0].view(8, V), logits)


def test_names_that_are_left_out_are_as_much_rarer_as_was_asked_for() -> None:
    before, model = mixture(), mixture()
    share = model.leave_out(symbols(NAMES), 0.1)
    known = sorted(name for name in set(NAMES) if len(name) < BLOCK)
    assert share == pytest.approx(sum(math.exp(log_probability(before, name)) for name in known), rel=1e-12)
    z = 1 - 0.9 * share
    for name in all_names(5):
        factor = 0.1 if name in known else 1.0
        expected = log_probability(before, name) + math.log(factor / z)
        assert log_probability(model, name) == pytest.approx(expected, abs=1e-10), name


def test_each_distribution_still_sums_to_1() -> None:
    model = mixture()
    model.leave_out(symbols(NAMES), 0.01)
    tokens = torch.randint(V, (200, BLOCK), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(tokens)[0].exp().sum(dim=1), torch.ones(200, dtype=torch.float64))


def test_a_list_is_left_out_in_place_of_an_earlier_one() -> None:
    once, twice = mixture(), mixture()
    once.leave_out(symbols(["ab"]), 0.5)
    twice.leave_out(symbols(NAMES), 0.1)
    twice.leave_out(symbols(["ab"]), 0.5)
    tokens, _ = build_windows(all_names(4), VOCABULARY, BLOCK)
    torch.testing.assert_close(once(tokens)[0], twice(tokens)[0], rtol=0, atol=1e-12)


def test_a_factor_of_1_changes_nothing() -> None:
    before, model = mixture(), mixture()
    model.leave_out(symbols(NAMES), 1.0)
    tokens, _ = build_windows(all_names(4), VOCABULARY, BLOCK)
    torch.testing.assert_close(model(tokens)[0], before(tokens)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_a_factor_that_cannot_be(factor: float) -> None:
    with pytest.raises(ValueError, match="factor must be above 0"):
        mixture().leave_out(symbols(NAMES), factor)


def test_the_prefix_tree() -> None:
    keys = prefix_keys(symbols(["ab", "a", "b", "ab"]), V)
    # Node 1 is a, 2 b; 3 the end of a, 4 ab, 5 the end of b; 6 the end of ab.
    assert keys.tolist() == [1, 2, V, V + 2, 2 * V, 4 * V]
    contexts = beginnings(keys, V, 3)
    assert contexts.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 2], [0, 2, 0], [1, 2, 0]]
    tokens = torch.tensor([[0, 0, 0], [0, 0, 2], [0, 1, 2], [1, 1, 2], [0, 2, 1], [0, 0, 3]])
    assert find_nodes(keys, tokens, V).tolist() == [0, 2, 4, -1, -1, -1]
    nothing = prefix_keys(torch.zeros(0, 3, dtype=torch.int64), V)
    assert nothing.tolist() == []
    assert beginnings(nothing, V, 2).tolist() == [[0, 0]]
    assert find_nodes(nothing, tokens, V).tolist() == [0, -1, -1, -1, -1, -1]


def test_it_is_saved_and_loaded() -> None:
    model = mixture()
    model.leave_out(symbols(NAMES), 0.2)
    tokens, _ = build_windows(all_names(3), VOCABULARY, BLOCK)
    loaded = build_model("mixture", model.config).double()
    loaded.load_state_dict(model.state_dict())
    for other in (loaded.eval(), copy.deepcopy(model)):
        assert torch.equal(other(tokens)[0], model(tokens)[0])
    assert model.num_values == model.components[0].num_values + sum(p.numel() for p in model.parameters())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": []}, "components must hold one model at least, but got none"),
        ({"components": [{"name": "rnn"}]}, "a component's name must be one of bigram, .*, but got 'rnn'"),
        ({"components": [{"name": "mixture"}]}, "a component's name must be one of bigram, .* got 'mixture'"),
        ({"components": [{}]}, "a component's name must be one of bigram, .* but got None"),
        ({"components": [{"name": "mlp", "depth": 3}]}, "but got depth"),
        (
            {"block_size": 3, "components": [{"name": "mlp", "block_size": 4}]},
            "block_size must be at least that of each component, but got 3 and mlp with 4",
        ),
        (
            {"block_size": 0, "components": [{"name": "mlp"}]},
            "block_size must be a positive integer, but got 0",
        ),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mixture(**{"vocab_size": 5, **options})


def test_windows_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tokens must be \(\.\.\., 5\)"):
        mixture()(torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(IndexError):
        mixture()(torch.full((1, BLOCK), V))
