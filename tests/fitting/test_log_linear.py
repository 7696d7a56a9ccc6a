"""The weights of a mixture: the likeliest ones, and models that bring nothing left out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from namegen_ext.fitting.log_linear import (
    LEAST_GAIN,
    choose_components,
    combined,
    fit_weights,
    mixture_loss,
)

N, V = 4000, 6


def models(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Three models, targets drawn from the product of powers of the first two, and these powers."""
    generator = torch.Generator().manual_seed(seed)
    log_probabilities = torch.randn(3, N, V, generator=generator, dtype=torch.float64).log_softmax(dim=2)
    weights = torch.tensor([0.9, 0.5, 0.0], dtype=torch.float64)
    probabilities = combined(log_probabilities, weights).exp()
    targets = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
    return log_probabilities, targets, weights


def test_the_weights_are_found_that_drew_the_targets() -> None:
    log_probabilities, targets, weights = models()
    found = fit_weights(log_probabilities, targets)
    # A standard deviation of a weight is about 1 / sqrt(4,000 x the variance of log p, about 1) = 0.016.
    assert (found - weights).abs().max() < 0.07


def test_the_loss_is_that_of_the_normalised_product() -> None:
    log_probabilities, targets, weights = models()
    product = (log_probabilities * weights[:, None, None]).sum(dim=0)
    expected = F.cross_entropy(product, targets).item()
    assert mixture_loss(log_probabilities, weights, targets) == pytest.approx(expected, rel=1e-12)


def test_no_small_change_is_better() -> None:
    log_probabilities, targets, _ = models()
    two = log_probabilities[:2]
    found = fit_weights(two, targets)
    best = mixture_loss(two, found, targets)
    for place in range(2):
        for step in (-0.02, 0.02):
            changed = found.clone()
            changed[place] += step
            assert mixture_loss(two, changed, targets) > best


def test_what_says_the_opposite_gets_no_weight() -> None:
    log_probabilities, targets, _ = models()
    opposite = (-log_probabilities[1]).log_softmax(dim=1)
    weights = fit_weights(torch.stack([log_probabilities[0], opposite]), targets)
    assert weights[1] == 0
    assert weights[0] > 0.5


def test_a_model_alone_keeps_a_weight() -> None:
    log_probabilities, targets, _ = models()
    useless = torch.full((1, N, V), 1 / V, dtype=torch.float64).log()
    assert fit_weights(useless, targets)[0] > 0
    assert fit_weights(log_probabilities[:1], targets)[0] > 0.5


def test_components_are_chosen_by_what_they_bring() -> None:
    log_probabilities, targets, _ = models()
    noise = torch.randn(1, N, V, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    of_little_use = torch.cat([log_probabilities[:2], noise.log_softmax(dim=2)])
    choice = choose_components(of_little_use, targets)
    assert (choice.weights > 0).tolist() == [True, True, False]
    assert choice.loss == pytest.approx(mixture_loss(of_little_use, choice.weights, targets), rel=1e-12)
    alone = log_probabilities[:1]
    gain = mixture_loss(alone, fit_weights(alone, targets), targets) - choice.loss
    assert choice.gains[0] == 0
    assert choice.gains[1] == pytest.approx(gain, rel=1e-9)
    assert choice.gains[2] < LEAST_GAIN
    twice = torch.stack([log_probabilities[0], log_probabilities[0]])
    assert int((choose_components(twice, targets).weights > 0).sum()) == 1


def test_float32_serves() -> None:
    log_probabilities, targets, _ = models()
    found = fit_weights(log_probabilities.float(), targets)
    torch.testing.assert_close(found, fit_weights(log_probabilities, targets), rtol=0, atol=1e-3)
