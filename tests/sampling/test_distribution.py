from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from namegen_ext.models.evaluation_mode import evaluating
from namegen_ext.sampling import SamplingError
from namegen_ext.sampling.distribution import (
    ModelDistribution,
    Shaping,
    TableDistribution,
    cumulative_rows,
)


def slow_probabilities(
    logits: list[float], temperature: float, top_k: int | None, allow_end: bool
) -> list[float]:
    """Temperature, top-k and the exclusion of the end by their definitions, a number at a time."""
    candidates = [symbol for symbol in range(len(logits)) if allow_end or symbol != 0]
    candidates.sort(key=lambda symbol: (-logits[symbol], symbol))
    candidates = candidates[:top_k]
    weights = {symbol: math.exp(logits[symbol] / temperature) for symbol in candidates}
    return [weights.get(symbol, 0.0) / sum(weights.values()) for symbol in range(len(logits))]


@pytest.mark.parametrize("allow_end", [True, False])
@pytest.mark.parametrize("top_k", [None, 1, 2, 3, 5, 6])
@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_shaping_agrees_with_a_slow_reference(temperature: float, top_k: int | None, allow_end: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(20, 6, generator=generator)
    logits[3] = 0.0  # all equal: the first top_k symbols stay
    logits[4, 2:5] = 9.0  # three share the first place
    shaped = Shaping(temperature, top_k).probabilities(logits, allow_end=allow_end)
    expected = [slow_probabilities(row, temperature, top_k, allow_end) for row in logits.double().tolist()]
    # float64 throughout: each probability is a few roundings of 2**-53 away.
    torch.testing.assert_close(shaped, torch.tensor(expected, dtype=torch.float64), rtol=1e-13, atol=0)


@pytest.mark.parametrize("temperature", [1e-300, 1e-6, 1e300])
def test_extreme_temperatures_stay_finite(temperature: float) -> None:
    logits = torch.tensor([[-1e30, 5.0, 5.5, 1e30], [700.0, 710.0, 0.0, -50.0]])
    shaped = Shaping(temperature).probabilities(logits)
    likeliest = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    even = torch.full((2, 4), 0.25, dtype=torch.float64)
    torch.testing.assert_close(shaped, even if temperature > 1 else likeliest)


def test_shaping_leaves_the_logits_alone() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64)
    before = logits.clone()
    Shaping(0.5, 2).probabilities(logits, allow_end=False)
    assert torch.equal(logits, before)


def test_cumulative_rows_end_in_exactly_one() -> None:
    generator = torch.Generator().manual_seed(2)
    probabilities = torch.rand(1000, 27, generator=generator, dtype=torch.float64)
    probabilities[:, 20:] = 0.0
    probabilities /= probabilities.sum(dim=1, keepdim=True)
    cumulative = cumulative_rows(probabilities)
    assert (cumulative[:, 19:] == 1.0).all()  # no number in [0, 1) falls on a symbol of probability 0
    assert (cumulative.diff(dim=1) >= 0).all()


def test_table_holds_what_the_model_says(model: nn.Module) -> None:
    direct = ModelDistribution(model, 6, 2, Shaping(0.8, 4))
    table = TableDistribution(direct)
    contexts = torch.tensor(list(itertools.product(range(6), repeat=2)))  # (36, 2)
    edges = cumulative_rows(direct.probabilities(contexts))  # (36, 6)
    first_edges = cumulative_rows(direct.first_probabilities())  # (1, 6)
    assert float(first_edges[0, 0]) == 0.0  # no name begins with its end
    # Logits are float32 sums of 10 products of order 1: another order of summation moves them, and so an
    # edge between two symbols, by about 1e-6. Numbers that stand 1e-4 away from each edge must fall to the
    # same symbol.
    uniforms = torch.linspace(0, 0.9999, 1000, dtype=torch.float64)
    for context, row in zip(contexts, edges, strict=True):
        clear = uniforms[((uniforms[:, None] - row).abs() > 1e-4).all(dim=1)]
        expected = torch.tensor([next(s for s in range(6) if u < row[s]) for u in clear])
        assert len(clear) > 900
        for distribution in (direct, table):
            assert torch.equal(distribution.draw(context[None], clear), expected)
            assert torch.equal(distribution.draw(context.expand(len(clear), 2), clear), expected)
    clear = uniforms[((uniforms[:, None] - first_edges[0]).abs() > 1e-4).all(dim=1)]
    expected = torch.tensor([next(s for s in range(6) if u < first_edges[0, s]) for u in clear])
    for distribution in (direct, table):
        assert torch.equal(distribution.draw_first(clear), expected)


@pytest.mark.parametrize("vocab_size", [2, 3, 4, 5, 8, 9, 27])
def test_an_edge_belongs_to_the_next_symbol(vocab_size: int) -> None:
    class Even(nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(tokens), vocab_size)

    direct = ModelDistribution(Even(), vocab_size, 1, Shaping())
    edges = cumulative_rows(direct.probabilities(torch.zeros(1, 1, dtype=torch.int64)))[0]  # (V,)
    below = torch.nextafter(edges, torch.zeros(()).double())
    uniforms = torch.cat([torch.zeros(1).double(), below, edges[:-1]])
    expected = torch.tensor([0, *range(vocab_size), *range(1, vocab_size)])
    for distribution in (direct, TableDistribution(direct)):
        assert torch.equal(distribution.draw(torch.zeros(1, 1, dtype=torch.int64), uniforms), expected)


def test_table_of_more_contexts_than_one_chunk() -> None:
    class Sum(nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            weights = torch.arange(1, tokens.shape[1] + 1)
            position = (tokens * weights).sum(dim=1) % 6  # (N,)
            return nn.functional.one_hot(position, 6) * 50.0

    direct = ModelDistribution(Sum(), 6, 5, Shaping())
    table = TableDistribution(direct)  # 7,776 contexts
    contexts = torch.randint(6, (500, 5), generator=torch.Generator().manual_seed(3))
    uniforms = torch.rand(500, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    drawn = table.draw(contexts, uniforms)
    assert torch.equal(drawn, direct.draw(contexts, uniforms))
    assert torch.equal(
        drawn, (contexts * torch.arange(1, 6)).sum(dim=1) % 6
    )  # e**50 to 1: always the likeliest


def test_model_is_asked_in_evaluation_mode_without_gradients(model: nn.Module) -> None:
    seen: list[tuple[bool, bool]] = []
    model.register_forward_pre_hook(lambda module, _: seen.append((module.training, torch.is_grad_enabled())))
    model.train()
    model.get_submodule("linear").eval()  # a mode of its own, as for a frozen layer
    first = ModelDistribution(model, 6, 2, Shaping()).probabilities(torch.zeros(4, 2, dtype=torch.int64))
    assert seen == [(False, False)]
    assert model.training
    assert model.get_submodule("dropout").training
    assert not model.get_submodule("linear").training
    assert not first.requires_grad
    assert torch.is_grad_enabled()


def test_modes_come_back_after_an_error(model: nn.Module) -> None:
    model.train()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        _ = 1 / 0
    assert all(module.training for module in model.modules())


def test_logits_of_another_shape_are_refused(model: nn.Module) -> None:
    distribution = ModelDistribution(model, 7, 2, Shaping())
    with pytest.raises(ValueError, match=r"model must give logits of shape \(3, 7\).*but gave \(3, 6\)"):
        distribution.probabilities(torch.zeros(3, 2, dtype=torch.int64))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_model_is_refused(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        model.get_parameter("linear.bias")[2] = value
    with pytest.raises(SamplingError, match="not all finite"):
        ModelDistribution(model, 6, 2, Shaping()).probabilities(torch.zeros(1, 2, dtype=torch.int64))
