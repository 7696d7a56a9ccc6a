"""Gradients of the parameters, against autograd by hand; stock against fused kernels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext import fuse
from namegen_ext.diagnostics import parameter_gradients
from namegen_ext.models import MLP

Batch = tuple[Tensor, Tensor]


def test_the_numbers_of_each_parameter(build_mlp: Callable[..., MLP], batch: Batch) -> None:
    found = parameter_gradients(build_mlp(batch_norm=True), *batch)
    model = build_mlp(batch_norm=True).train()
    F.cross_entropy(model.net(batch[0]), batch[1]).backward()
    assert [one.name for one in found] == [name for name, _ in model.named_parameters()]
    for one, parameter in zip(found, model.parameters(), strict=True):
        assert parameter.grad is not None
        gradient = parameter.grad.double()
        # The same float32 arithmetic on both sides, and the sums in float64.
        assert one.mean == pytest.approx(float(gradient.mean()), abs=1e-12)
        assert one.std == pytest.approx(float(gradient.std(correction=0)), rel=1e-9, abs=1e-15)
        assert one.data_std == pytest.approx(float(parameter.detach().double().std(correction=0)), rel=1e-9)
        assert one.shape == tuple(parameter.shape)
        assert one.is_weight == (parameter.dim() > 1)
        zeros = int((gradient == 0).sum())
        assert one.zeros == zeros / gradient.numel()
        assert one.log10_magnitude.total == gradient.numel() - zeros


def test_the_histogram_is_of_powers_of_ten() -> None:
    class Fixed(nn.Module):
        """A loss whose gradients are 0.05, -5 and 0."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))

        def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            return tokens, (self.weight * torch.tensor([0.05, -5.0, 0.0])).sum()

    (found,) = parameter_gradients(Fixed(), torch.zeros(1), torch.zeros(1))
    edges, counts = found.log10_magnitude.edges, found.log10_magnitude.counts
    inside = [(edges[bin], edges[bin + 1]) for bin, count in enumerate(counts) for _ in range(count)]
    assert len(inside) == 2
    # log10 of 0.05 is -1.301, of 5 is 0.699.
    assert inside[0][0] <= -1.301 < inside[0][1]
    assert inside[1][0] <= 0.699 < inside[1][1]
    assert found.zeros == pytest.approx(1 / 3)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_stock_and_fused_agree_and_the_fused_kernels_run(
    build_mlp: Callable[..., MLP], batch: Batch, batch_norm: bool
) -> None:
    fused = build_mlp(batch_norm=batch_norm)
    assert fuse(fused).fused
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        ours = parameter_gradients(fused, *batch)
    operator = "embedding_concat_linear" + ("_batch_norm" if batch_norm else "")
    assert any(f"{operator}_backward" in event.key for event in profile.key_averages())
    theirs = parameter_gradients(build_mlp(batch_norm=batch_norm), *batch)
    assert [one.name for one in ours] == [other.name for other in theirs]
    for one, other in zip(ours, theirs, strict=True):
        # Sums of at most 96 float32 products, one behind the other in three layers: relative error below
        # 3 * 96 * 2**-24 = 2e-5 where nothing cancels. Before batch norm a bias has no gradient but rounding.
        assert one.std == pytest.approx(other.std, rel=1e-3, abs=1e-7)
        assert one.data_std == other.data_std


def test_frozen_parameters_have_none(build_mlp: Callable[..., MLP], batch: Batch) -> None:
    model = build_mlp(batch_norm=False)
    model.net[0].weight.requires_grad_(False)
    names = [one.name for one in parameter_gradients(model, *batch)]
    assert names == [name for name, _ in model.named_parameters()][1:]
    assert parameter_gradients(model.requires_grad_(False), *batch) == ()


def test_dropout_is_drawn_from_the_seed(batch: Batch) -> None:
    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(9, 9)
            self.drop = nn.Dropout(0.5)

        def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            logits = self.drop(self.table(tokens[:, -1]))
            return logits, F.cross_entropy(logits, targets)

    torch.manual_seed(0)
    model = Dropping()
    before = torch.get_rng_state()
    first, again, other = (parameter_gradients(model, *batch, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert torch.equal(torch.get_rng_state(), before)


def test_the_model_is_left_as_it_was(build_mlp: Callable[..., MLP], batch: Batch) -> None:
    model = build_mlp(batch_norm=True).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parameter_gradients(model, *batch)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
