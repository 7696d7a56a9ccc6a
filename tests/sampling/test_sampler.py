from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from namegen_ext.data import Vocabulary
from namegen_ext.sampling import NameSampler, sample_names
from namegen_ext.sampling.plan import (
    MAX_TABLE_BYTES,
    NATIVE_TABLE_CONTEXTS_PER_NAME,
    TABLE_CONTEXTS_PER_NAME,
    Backend,
    Method,
)


def model_probabilities(model: nn.Module, vocab_size: int, temperature: float = 1.0) -> torch.Tensor:
    """P(next | last) of a model with block size 1, from stock functions alone: (V, V)."""
    model.eval()
    with torch.no_grad():
        logits = model(torch.arange(vocab_size)[:, None])[0]  # (V, V)
    return torch.softmax(logits.double() / temperature, dim=1)


def chi_square(names: list[str], probabilities: torch.Tensor, vocabulary: Vocabulary) -> tuple[float, int]:
    """Compare all transitions, ends included, with the probabilities: statistic, degrees of freedom."""
    expected = probabilities.clone()
    start = expected[0]
    start[0] = 0.0  # no name is empty: the first letter is drawn among the letters
    expected[0] = start / start.sum()
    symbols = {letter: symbol for symbol, letter in enumerate(vocabulary.symbols, start=1)}
    transitions: Counter[tuple[int, int]] = Counter()
    for name in names:
        path = [0, *(symbols[letter] for letter in name), 0]
        transitions.update(pairwise(path))
    statistic, degrees = 0.0, 0
    for last, row in enumerate(expected.tolist()):
        visits = sum(transitions[last, symbol] for symbol in range(len(row)))
        possible = [symbol for symbol, probability in enumerate(row) if probability > 0]
        assert all(
            visits * row[symbol] >= 5 for symbol in possible
        )  # where the chi-square law is a fair limit
        statistic += sum(
            (transitions[last, symbol] - visits * row[symbol]) ** 2 / (visits * row[symbol])
            for symbol in possible
        )
        degrees += len(possible) - 1
    return statistic, degrees


def chi_square_threshold(degrees: int) -> float:
    """The value passed with a probability of 1e-6 by a chi-square variable (Wilson and Hilferty 1931)."""
    normal_quantile = 4.7534  # of 1 - 1e-6
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + normal_quantile * math.sqrt(spread)) ** 3


@pytest.mark.parametrize("method", ["direct", "table"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("backend", ["native", "python"])
def test_frequencies_follow_the_model(
    one_letter_network: nn.Module,
    vocabulary: Vocabulary,
    method: Method,
    temperature: float,
    backend: Backend,
) -> None:
    n = 200_000 if backend == "native" else 40_000
    names = sample_names(
        one_letter_network,
        vocabulary,
        n,
        seed=1,
        temperature=temperature,
        method=method,
        max_length=1000,
        backend=backend,
    )
    probabilities = model_probabilities(one_letter_network, len(vocabulary), temperature)
    statistic, degrees = chi_square(names, probabilities, vocabulary)
    assert statistic < chi_square_threshold(degrees)
    # The test can tell: a temperature 10% off is far out.
    other = model_probabilities(one_letter_network, len(vocabulary), 1.1 * temperature)
    assert chi_square(names, other, vocabulary)[0] > chi_square_threshold(degrees)


def test_table_and_direct_draw_the_same_names(model: nn.Module, vocabulary: Vocabulary) -> None:
    options: dict[str, Any] = {"seed": 4, "temperature": 1.3, "top_k": 5, "prefix": "ba"}
    direct = sample_names(model, vocabulary, 2000, method="direct", **options)
    table = sample_names(model, vocabulary, 2000, method="table", **options)
    # Cumulative probabilities differ by about 1e-7 between the two, so about 2000 names * 5 letters * 6
    # edges * 1e-7 = 0.006 names are expected to differ; one is allowed.
    assert sum(a != b for a, b in zip(direct, table, strict=True)) <= 1


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_names_do_not_depend_on_the_batch_size(
    model: nn.Module, vocabulary: Vocabulary, batch_size: int
) -> None:
    whole = sample_names(model, vocabulary, 300, seed=6, method="table", batch_size=300)
    assert sample_names(model, vocabulary, 300, seed=6, method="table", batch_size=batch_size) == whole
    direct = sample_names(model, vocabulary, 300, seed=6, method="direct", batch_size=batch_size)
    assert sum(a != b for a, b in zip(direct, whole, strict=True)) <= 1  # rounding, as above


def test_names_depend_on_their_place_alone(model: nn.Module, vocabulary: Vocabulary) -> None:
    long = sample_names(model, vocabulary, 500, seed=6, method="table")
    assert sample_names(model, vocabulary, 20, seed=6, method="table") == long[:20]
    sampler = NameSampler(model, vocabulary, 500, method="table")
    assert sampler.draw(6, 123, 45) == long[123:168]
    assert sampler.draw(6, 0, 0) == []


def test_seeds(model: nn.Module, vocabulary: Vocabulary) -> None:
    def draw(seed: int | None) -> list[str]:
        return sample_names(model, vocabulary, 50, seed=seed)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert draw(1) != draw(1 + 2**32)  # both halves of the seed count
    torch.manual_seed(5)
    unseeded = [draw(None), draw(None)]
    assert unseeded[0] != unseeded[1]
    torch.manual_seed(5)
    assert [draw(None), draw(None)] == unseeded


def test_a_seed_leaves_the_global_generator_alone(model: nn.Module, vocabulary: Vocabulary) -> None:
    before = torch.get_rng_state()
    sample_names(model, vocabulary, 50, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_prefix(model: nn.Module, vocabulary: Vocabulary) -> None:
    names = sample_names(model, vocabulary, 400, seed=2, prefix="dea")
    assert all(name.startswith("dea") for name in names)
    assert "dea" in names  # the name may end right after the prefix
    assert len(set(names)) > 10
    # What follows depends on the last block_size letters of the prefix alone.
    assert sample_names(model, vocabulary, 400, seed=2, prefix="bbea") == ["bb" + name[1:] for name in names]


def test_top_k_one_is_the_likeliest_path(model: nn.Module, vocabulary: Vocabulary) -> None:
    model.eval()
    context, expected = [0, 0], ""
    while len(expected) < 12:
        with torch.no_grad():
            logits = model(torch.tensor([context]))[0][0]
        likeliest = int(logits[1:].argmax()) + 1 if not expected else int(logits.argmax())
        if likeliest == 0:
            break
        expected += vocabulary.symbols[likeliest - 1]
        context = [context[1], likeliest]
    assert set(sample_names(model, vocabulary, 30, seed=3, top_k=1, max_length=12)) == {expected}
    assert set(sample_names(model, vocabulary, 30, seed=3, temperature=1e-9, max_length=12)) == {expected}


def test_no_name_is_empty_even_where_the_model_would_end_at_once(
    one_letter_model: nn.Module, vocabulary: Vocabulary
) -> None:
    with torch.no_grad():
        one_letter_model.get_parameter("linear.bias")[0] += 20.0
    names = sample_names(one_letter_model, vocabulary, 500, seed=1)
    assert {len(name) for name in names} == {1}
    assert len(sample_names(one_letter_model, vocabulary, 5, seed=1, top_k=1)[0]) == 1


def test_max_length_cuts(model: nn.Module, vocabulary: Vocabulary) -> None:
    uncut = sample_names(model, vocabulary, 300, seed=8, max_length=400, method="table")
    assert max(map(len, uncut)) > 5
    for prefix in ("", "ab"):
        uncut = sample_names(model, vocabulary, 300, seed=8, max_length=400, prefix=prefix, method="table")
        cut = sample_names(model, vocabulary, 300, seed=8, max_length=5, prefix=prefix, method="table")
        assert cut == [name[:5] for name in uncut]


def test_any_alphabet() -> None:
    vocabulary = Vocabulary(sorted("éß- 名\U0001f600'"))
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Embedding(8, 8), nn.Flatten())
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.randn(8, 8, generator=generator))
    names = sample_names(model, vocabulary, 500, block_size=1, seed=0)
    assert set("".join(names)) == set(vocabulary.symbols)
    assert len(names) == 500


def test_auto_chooses_the_table_for_many_names(model: nn.Module, vocabulary: Vocabulary) -> None:
    enough = -(-(len(vocabulary) ** 2) // TABLE_CONTEXTS_PER_NAME)
    assert NameSampler(model, vocabulary, enough).method == "table"
    assert NameSampler(model, vocabulary, enough - 1).method == "direct"


def test_auto_evaluates_a_network_natively_for_fewer_names(
    one_letter_network: nn.Module, vocabulary: Vocabulary
) -> None:
    enough = round(len(vocabulary) / NATIVE_TABLE_CONTEXTS_PER_NAME)
    for names, method in ((enough, "table"), (enough - 1, "direct")):
        sampler = NameSampler(one_letter_network, vocabulary, names)
        assert sampler.method == method
        assert sampler.native is not None


def test_a_table_too_large_is_never_built(vocabulary: Vocabulary) -> None:
    class Unused(nn.Module):
        block_size = 12  # 6**12 contexts, eight numbers each: 130 GiB

    assert MAX_TABLE_BYTES < 6**12 * 6 * 8
    assert NameSampler(Unused(), vocabulary, 10**12).method == "direct"
    with pytest.raises(ValueError, match=r"method 'table' must need at most 256 MiB.*block_size 12"):
        NameSampler(Unused(), vocabulary, 10, method="table")


def test_the_model_comes_back_in_its_own_mode(model: nn.Module, vocabulary: Vocabulary) -> None:
    model.train()
    model.get_submodule("linear").eval()
    modes = [module.training for module in model.modules()]
    in_training = sample_names(model, vocabulary, 100, seed=1)
    assert [module.training for module in model.modules()] == modes
    assert sample_names(model.eval(), vocabulary, 100, seed=1) == in_training  # dropout had no part in it
