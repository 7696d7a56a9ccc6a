"""Negative log-likelihoods: against the loss of training, symbol by symbol in float64, natively and through torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from namegen_ext import Generator
from namegen_ext.models.specs import MODELS
from namegen_ext.sampling.distribution import ModelDistribution
from namegen_ext.sampling.shaping import Shaping
from namegen_ext.scoring.likelihood import Likelihood
from namegen_ext.scoring.module_nlls import ModuleNlls

KINDS = ("bigram", "counts", "table", "mlp", "wavenet", "gpt", "mixture")
# The native sampler computes logits in float32, to about 1e-6 of the largest, which is below 20; a name has 9 symbols.
TOLERANCE = 20 * 1e-6 * 9


def slow_nll(generator: Generator, name: str, shaping: Shaping, drawn: bool) -> float:
    """-log P, one symbol after another."""
    model = generator.model
    vocabulary, block_size = generator.vocabulary, int(model.block_size)  # type: ignore[arg-type]
    distribution = ModelDistribution(model, len(vocabulary), block_size, shaping)
    context = [0] * block_size
    total = 0.0
    for place, symbol in enumerate([*vocabulary.encode(name), 0]):
        allow_end = not drawn or place > 0
        probabilities = distribution.probabilities(torch.tensor([context]), allow_end=allow_end)  # (1, V)
        probability = float(probabilities[0, symbol].detach())
        total += math.inf if probability == 0 else -math.log(probability)
        context = [*context[1:], symbol]
    return total


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("shaping", [Shaping(), Shaping(0.6), Shaping(1.5, 3)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_over_the_symbols(
    kind: str, shaping: Shaping, drawn: bool, generator_of: Callable[[str], Generator], words: list[str]
) -> None:
    generator = generator_of(kind)
    names = [*words[:12], "", "abcdeabcdeabcdeabcde", words[0]]
    found, unknown = generator.likelihood(shaping=shaping, drawn=drawn).nll(names)
    assert unknown == {}
    expected = [slow_nll(generator, name, shaping, drawn) for name in names]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
def test_natively_and_through_torch(
    kind: str, generator_of: Callable[[str], Generator], words: list[str]
) -> None:
    generator = generator_of(kind)
    is_sequence = MODELS[kind].sequences if kind in MODELS else False
    model = generator.model
    nlls = ModuleNlls(model, int(model.block_size), sequences=is_sequence, shaping=Shaping())  # type: ignore[arg-type]
    by_torch, _ = Likelihood(nlls, generator.vocabulary).nll(words)
    found, _ = generator.likelihood().nll(words)
    np.testing.assert_allclose(found, by_torch, rtol=1e-5, atol=TOLERANCE)
    # The mean over all characters is the loss that training reports.
    mean = found.sum() / sum(len(word) + 1 for word in words)
    assert mean == pytest.approx(generator.nll(words), abs=1e-5)


def test_more_symbols_than_are_looked_up_together(generator_of: Callable[[str], Generator]) -> None:
    generator = generator_of("wavenet")
    names = generator.sample(6000, seed=1, temperature=3.0)
    together, _ = generator.likelihood().nll(names)
    apart = np.concatenate([generator.likelihood().nll(names[i : i + 7])[0] for i in range(0, 210, 7)])
    assert together[:210].tolist() == apart.tolist()


def test_the_probabilities_of_all_names_sum_to_one(generator_of: Callable[[str], Generator]) -> None:
    """A model of 2 letters is too small to hide a mistake: of all names up to 12 letters nearly none is missing."""
    from itertools import product

    from namegen_ext import fit

    generator = fit(
        ["ab", "ba", "a", "b", "aa", "bb", "abb"], model="ngram", init="counts", steps=0, block_size=2
    )
    names = ["".join(letters) for length in range(13) for letters in product("ab", repeat=length)]
    nll, _ = generator.likelihood().nll(names)
    assert 0.99 < np.exp(-nll).sum() <= 1 + 1e-6


def test_a_model_that_has_diverged() -> None:
    from namegen_ext.models import MLP
    from namegen_ext.sampling import SamplingError
    from namegen_ext.scoring.likelihood import symbol_nlls

    model = MLP(3, block_size=2, hidden_size=4, embedding_dim=2).eval()
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    with pytest.raises(SamplingError, match="not all finite"):
        symbol_nlls(model, 3, 2)(np.array([1, 0], dtype=np.int32))
    with pytest.raises(SamplingError, match="not all finite"):
        ModuleNlls(model, 2, sequences=False, shaping=Shaping())(np.array([1, 0], dtype=np.int32))
