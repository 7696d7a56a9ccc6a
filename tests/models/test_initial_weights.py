"""The named initialisation schemes: the factors, the draws, and the losses they start from."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from namegen_ext.models import MLP, SCHEMES

V, E, BLOCK, H = 27, 10, 3, 200
KAIMING = (5 / 3) / math.sqrt(BLOCK * E)

# The factors of the schemes: W1, b1, W2, b2.
FACTORS = {
    "plain": (1.0, 1.0, 1.0, 1.0),
    "small-output": (1.0, 1.0, 0.01, 0.0),
    "scaled-hidden": (0.1, 0.1, 0.01, 0.0),
    "kaiming": (KAIMING, 0.01, 0.01, 0.0),
    "unsaturated": (0.2, 0.01, 0.01, 0.0),
}


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The standard normal draws of an MLP written out: C, then W1 (in, out), b1, W2 (in, out), b2."""
    g = torch.Generator().manual_seed(seed)
    shapes = [(V, E), (BLOCK * E, H), (H,), (H, V), (V,)]
    c, w1, b1, w2, b2 = (torch.randn(shape, generator=g) for shape in shapes)
    return c, w1, b1, w2, b2


def parameters(model: MLP) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    embedding, hidden, output = model.net[0], model.net[2], model.net[-1]
    assert isinstance(embedding, nn.Embedding)
    assert isinstance(hidden, nn.Linear)
    assert isinstance(output, nn.Linear)
    return embedding.weight, hidden.weight, hidden.bias, output.weight, output.bias


def test_the_schemes_are_those_of_the_table() -> None:
    assert set(SCHEMES) == set(FACTORS)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("scheme", FACTORS)
def test_weights_are_the_draws_times_the_factors(scheme: str, batch_norm: bool) -> None:
    model = MLP(V, batch_norm=batch_norm, init=scheme, generator=torch.Generator().manual_seed(5))
    c, w1, b1, w2, b2 = drawn(5)
    f1, g1, f2, g2 = FACTORS[scheme]
    expected = (c, w1.T * f1, b1 * g1, w2.T * f2, b2 * g2)
    for got, want in zip(parameters(model), expected, strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize("scheme", ["small-output", "scaled-hidden", "kaiming", "unsaturated"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_small_output_starts_at_the_uniform_loss(scheme: str, batch_norm: bool) -> None:
    model = MLP(V, batch_norm=batch_norm, init=scheme, generator=torch.Generator().manual_seed(1))
    tokens = torch.randint(V, (4096, BLOCK), generator=torch.Generator().manual_seed(2))
    targets = torch.randint(V, (4096,), generator=torch.Generator().manual_seed(3))
    _, loss = model(tokens, targets)
    assert loss is not None
    # Logits are sums of 200 terms 0.01 * normal * tanh, |tanh| <= 1: standard deviation s <= 0.1414. The
    # loss exceeds log(V) by about s**2 / 2 <= 0.01; targets drawn evenly over the classes add a mean of
    # logits near 0.
    assert loss.item() == pytest.approx(math.log(V), abs=0.03)


def test_plain_starts_confidently_wrong() -> None:
    tokens = torch.randint(V, (4096, BLOCK), generator=torch.Generator().manual_seed(2))
    targets = torch.randint(V, (4096,), generator=torch.Generator().manual_seed(3))
    losses = []
    for seed in range(5):
        model = MLP(V, batch_norm=False, init="plain", generator=torch.Generator().manual_seed(seed))
        losses.append(model(tokens, targets)[1].item())
    # Logits have a standard deviation near sqrt(200) = 14; the largest of 27 lies about 2 of those above the
    # mean, which is about what the loss is. The devlog reports draws from 20 to 35.
    assert all(20 < loss < 35 for loss in losses)


def test_saturation_falls_from_scheme_to_scheme() -> None:
    tokens = torch.randint(V, (2048, BLOCK), generator=torch.Generator().manual_seed(2))
    saturated = {}
    for scheme in FACTORS:
        model = MLP(V, batch_norm=False, init=scheme, generator=torch.Generator().manual_seed(4))
        hidden = model.net[:4](tokens)  # (n, H)
        saturated[scheme] = (hidden.abs() > 0.97).float().mean().item()
    # |tanh(x)| > 0.97 is |x| > 2.09. Inputs have a standard deviation of sqrt(30 f**2 + g**2): 5.6, 5.6, 0.56
    # and 1.67, and a normal variable exceeds 2.09 with probability 0.71, 0.71, 0.0002 and 0.21.
    assert saturated["plain"] == saturated["small-output"] == pytest.approx(0.71, abs=0.08)
    assert saturated["scaled-hidden"] < 0.02
    assert saturated["kaiming"] == pytest.approx(0.21, abs=0.08)


def test_kaiming_scales_each_hidden_layer_by_its_inputs() -> None:
    model = MLP(V, num_hidden_layers=3, batch_norm=False, generator=torch.Generator().manual_seed(6))
    linears = [layer for layer in model.net if isinstance(layer, nn.Linear)]
    assert [linear.in_features for linear in linears] == [30, 200, 200, 200]
    for linear in linears[:-1]:
        expected = (5 / 3) / math.sqrt(linear.in_features)
        # The sample deviation of n normal draws is off by 1 / sqrt(2 n): 0.9% for 6,000; four of those.
        assert linear.weight.std().item() == pytest.approx(expected, rel=0.04)
