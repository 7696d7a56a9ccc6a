"""What comes out of the activation layers, against the same computed by hand; stock against fused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext import fuse
from namegen_ext.diagnostics import activation_statistics
from namegen_ext.models import MLP
from namegen_ext.nn import FusedBatchNorm1d, FusedEmbeddingConcatLinear

Batch = tuple[Tensor, Tensor]


class WithLoss(nn.Module):
    """Gives any layers from tokens to logits the call of the package's models."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.net(tokens)
        return logits, F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=-1)


def by_hand(model: MLP, batch: Batch) -> tuple[Tensor, Tensor]:
    """The outputs of the last tanh and the gradient of the loss with respect to them, both (B, H)."""
    model.train()
    hidden = model.net[:-1](batch[0])
    hidden.retain_grad()
    F.cross_entropy(model.net[-1](hidden), batch[1]).backward()
    assert hidden.grad is not None
    return hidden.detach().double(), hidden.grad.double()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_numbers_of_a_tanh_layer(build_mlp: Callable[..., MLP], batch: Batch, batch_norm: bool) -> None:
    found = activation_statistics(build_mlp(batch_norm=batch_norm), *batch)
    expected, gradient = by_hand(build_mlp(batch_norm=batch_norm), batch)
    names = ["net.4", "net.7"] if batch_norm else ["net.3", "net.5"]
    assert [layer.name for layer in found] == names
    last = found[-1]
    # The same float32 arithmetic on both sides; only the sums below are taken in another order, in float64.
    assert last.kind == "Tanh"
    assert last.mean == pytest.approx(float(expected.mean()), abs=1e-12)
    assert last.std == pytest.approx(float(expected.std(correction=0)), abs=1e-12)
    saturated = expected.abs() > 0.97
    assert last.saturated == pytest.approx(float(saturated.double().mean()), abs=1e-12)
    assert 0 < last.saturated < 1, "the model is to have both kinds of outputs"
    assert last.units == 12
    assert last.stuck_units == int(saturated.all(0).sum())
    assert last.values.total == expected.numel()
    assert (last.values.edges[0], last.values.edges[-1]) == (-1.0, 1.0)
    shares = saturated.double().mean(0)
    in_bins = [int(((shares >= low) & (shares < low + 0.05)).sum()) for low in torch.arange(19) * 0.05]
    assert last.unit_saturation.counts[:19] == tuple(in_bins)
    assert last.unit_saturation.total == 12
    assert last.gradient is not None
    assert last.gradient.std == pytest.approx(float(gradient.std(correction=0)), rel=1e-9)
    assert last.gradient.mean == pytest.approx(float(gradient.mean()), rel=1e-6)


def test_a_unit_that_is_always_saturated_is_stuck(build_mlp: Callable[..., MLP], batch: Batch) -> None:
    model = build_mlp(batch_norm=False, init="kaiming")
    with torch.no_grad():
        model.net[2].bias[:5] = 100.0
    first, _ = activation_statistics(model, *batch)
    assert first.stuck_units == 5
    assert first.unit_saturation.counts[-1] >= 5


@pytest.mark.parametrize("batch_norm", [False, True])
def test_stock_and_fused_agree(build_mlp: Callable[..., MLP], batch: Batch, batch_norm: bool) -> None:
    fused = build_mlp(batch_norm=batch_norm)
    assert fuse(fused).fused
    ours = activation_statistics(fused, *batch)
    theirs = activation_statistics(build_mlp(batch_norm=batch_norm), *batch)
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        assert (one.name, one.kind, one.units) == (other.name, other.kind, other.units)
        # A sum of 12 float32 products of size 10 in all is off by 12 * 2**-24 * 10 = 7e-6 at the most, tanh
        # makes that no larger, and the second layer multiplies it by the sum of 12 weights of size 1.
        assert one.mean == pytest.approx(other.mean, abs=1e-4)
        assert one.std == pytest.approx(other.std, abs=1e-4)
        # An output on the boundary may fall to either side: two of 96 * 12.
        assert one.saturated == pytest.approx(other.saturated, abs=2 / (96 * 12))
        assert one.gradient is not None
        assert other.gradient is not None
        assert one.gradient.std == pytest.approx(other.gradient.std, rel=1e-3)


def test_modules_that_end_in_a_fused_tanh(batch: Batch) -> None:
    def layers(fused: bool) -> list[nn.Module]:
        torch.manual_seed(0)
        first: list[nn.Module] = [nn.Embedding(9, 4), nn.Flatten(-2), nn.Linear(12, 6), nn.Tanh()]
        norm: list[nn.Module] = [nn.BatchNorm1d(6), nn.Tanh()]
        if fused:
            torch.manual_seed(0)
            first = [FusedEmbeddingConcatLinear(9, 4, 3, 6)]
            norm = [FusedBatchNorm1d(6, activation="tanh")]
        torch.manual_seed(1)
        return [*first, *norm, nn.Linear(6, 9)]

    ours = activation_statistics(WithLoss(*layers(fused=True)), *batch)
    theirs = activation_statistics(WithLoss(*layers(fused=False)), *batch)
    assert [layer.kind for layer in ours] == ["FusedEmbeddingConcatLinear, tanh", "FusedBatchNorm1d, tanh"]
    for one, other in zip(ours, theirs, strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-5)  # float32 rounding of sums of 12 products
        assert one.std == pytest.approx(other.std, abs=1e-5)
        assert (one.values.edges, one.units) == (other.values.edges, other.units)


@pytest.mark.parametrize(
    ("activation", "flat"),
    [
        # The slopes, written out: GELU(x) = x Phi(x), so Phi(x) + x phi(x); SiLU(x) = x s(x).
        (nn.ReLU(), lambda x: x <= 0),
        (nn.ReLU(inplace=True), lambda x: x <= 0),
        (nn.Sigmoid(), lambda x: x.sigmoid() * (1 - x.sigmoid()) < 1 - 0.97**2),
        (nn.SiLU(), lambda x: (x.sigmoid() * (1 + x * (1 - x.sigmoid()))).abs() < 1 - 0.97**2),
        (nn.SiLU(inplace=True), lambda x: (x.sigmoid() * (1 + x * (1 - x.sigmoid()))).abs() < 1 - 0.97**2),
        (
            nn.GELU(),
            lambda x: (
                (0.5 * (1 + torch.erf(x / 2**0.5)) + x * torch.exp(-0.5 * x**2) / (2 * torch.pi) ** 0.5).abs()
                < 1 - 0.97**2
            ),
        ),
    ],
    ids=["relu", "relu-inplace", "sigmoid", "silu", "silu-inplace", "gelu"],
)
def test_other_activations(activation: nn.Module, flat: Callable[[Tensor], Tensor], batch: Batch) -> None:
    torch.manual_seed(2)
    before: list[nn.Module] = [nn.Embedding(9, 4), nn.Flatten(-2), nn.Linear(12, 40)]
    with torch.no_grad():
        before[2].weight *= 6  # far enough out that every activation has flat parts
        x = nn.Sequential(*before)(batch[0]).double()
        expected = float(flat(x).double().mean())
        assert 0 < expected < 1
    (found,) = activation_statistics(WithLoss(*before, activation, nn.Linear(40, 9)), *batch)
    assert found.saturated == pytest.approx(expected, abs=1e-12)
    assert found.mean == pytest.approx(float(type(activation)()(x).mean()), abs=1e-6)
    assert found.values.edges[0] < found.values.edges[-1]


def test_positions_that_predict_nothing_are_left_out() -> None:
    torch.manual_seed(0)
    model = WithLoss(nn.Embedding(5, 3), nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5))
    tokens = torch.tensor([[0, 1, 2], [0, 3, 4]])
    targets = torch.tensor([[1, 2, 0], [3, -1, -1]])
    (found,) = activation_statistics(model, tokens, targets)
    expected = model.net[:3](tokens)[targets != -1].detach().double()  # (4, 4)
    assert found.values.total == 16
    assert found.mean == pytest.approx(float(expected.mean()), abs=1e-12)
    assert found.gradient is not None
    assert found.gradient.zeros == 0.0


def test_a_layer_that_is_called_twice_has_one_entry(batch: Batch) -> None:
    tanh = nn.Tanh()
    model = WithLoss(
        nn.Embedding(9, 4), nn.Flatten(-2), nn.Linear(12, 6), tanh, nn.Linear(6, 5), tanh, nn.Linear(5, 9)
    )
    (found,) = activation_statistics(model, *batch)
    assert found.units == 6 + 5
    assert found.values.total == 96 * (6 + 5)


def test_a_model_without_activations_or_gradients(batch: Batch) -> None:
    assert activation_statistics(WithLoss(nn.Embedding(9, 9), nn.Flatten(-2), nn.Linear(27, 9)), *batch) == ()
    frozen = WithLoss(nn.Embedding(9, 4), nn.Flatten(-2), nn.Tanh(), nn.Linear(12, 9)).requires_grad_(False)
    (found,) = activation_statistics(frozen, *batch)
    assert found.gradient is None


@pytest.mark.parametrize("fused", [False, True])
def test_the_model_is_left_as_it_was(build_mlp: Callable[..., MLP], batch: Batch, fused: bool) -> None:
    model = build_mlp(batch_norm=True).eval()
    if fused:
        fuse(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    classes = [type(module) for module in model.modules()]
    torch.manual_seed(5)
    random_state = torch.get_rng_state()
    activation_statistics(model, *batch)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module.training or module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [type(module) for module in model.modules()] == classes
    assert torch.equal(torch.get_rng_state(), random_state)
