"""Batch norm over all dimensions but the last: against the definition, and against nn.BatchNorm1d."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import namegen_ext
from namegen_ext.nn import ChannelsLastBatchNorm1d

# float64 sums of some 60 values of order one, divided by a standard deviation of order one: 60 * 2.2e-16.
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "plain": {"affine": False},
    "averaging": {"momentum": None},
    "untracked": {"track_running_stats": False},
    "large eps": {"eps": 0.5},
}


def inputs(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=generator, dtype=torch.float64) + 1


def shaken(module: ChannelsLastBatchNorm1d) -> ChannelsLastBatchNorm1d:
    """Give it a scale and a shift that are not the initial ones."""
    for seed, parameter in enumerate(module.parameters()):
        parameter.data.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(seed))
    return module.double()


@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 5), (2, 3, 2, 5)])
@pytest.mark.parametrize(("variance", "correction"), [("biased", 0), ("unbiased", 1)])
def test_training_is_the_definition(shape: tuple[int, ...], variance: str, correction: int) -> None:
    module = shaken(ChannelsLastBatchNorm1d(5, variance=variance))
    x = inputs(*shape)
    rows = x.reshape(-1, 5)
    deviation = torch.sqrt(rows.var(dim=0, correction=correction) + module.eps)
    expected = (rows - rows.mean(dim=0)) / deviation * module.weight + module.bias
    torch.testing.assert_close(module(x), expected.reshape(shape), **ROUNDING)
    # Both track the unbiased variance.
    torch.testing.assert_close(module.running_mean, 0.1 * rows.mean(dim=0), **ROUNDING)
    torch.testing.assert_close(module.running_var, 0.9 + 0.1 * rows.var(dim=0), **ROUNDING)


@pytest.mark.parametrize("options", OPTIONS)
def test_biased_is_the_stock_layer_on_joined_rows(options: str) -> None:
    module = shaken(ChannelsLastBatchNorm1d(5, **OPTIONS[options]))
    stock = nn.BatchNorm1d(5, **OPTIONS[options]).double()
    stock.load_state_dict(module.state_dict())
    for seed in range(3):
        x = inputs(4, 3, 5, seed=seed)
        assert torch.equal(module(x), stock(x.reshape(12, 5)).reshape(4, 3, 5))
    for key, value in stock.state_dict().items():
        assert torch.equal(module.state_dict()[key], value), key
    assert torch.equal(module.eval()(x), stock.eval()(x.reshape(12, 5)).reshape(4, 3, 5))


@pytest.mark.parametrize("options", OPTIONS)
def test_the_unbiased_variance_changes_nothing_but_the_training_result(options: str) -> None:
    biased = shaken(ChannelsLastBatchNorm1d(5, **OPTIONS[options]))
    unbiased = shaken(ChannelsLastBatchNorm1d(5, **OPTIONS[options], variance="unbiased"))
    for seed in range(3):
        x = inputs(4, 3, 5, seed=seed)
        assert not torch.allclose(biased(x), unbiased(x), **ROUNDING)
    for key, value in biased.state_dict().items():
        torch.testing.assert_close(unbiased.state_dict()[key], value, **ROUNDING, msg=key)
    if options != "untracked":
        assert torch.equal(biased.eval()(x), unbiased.eval()(x))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("variance", ["biased", "unbiased"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 5), (1, 3, 5), (2, 3, 2, 5)])
def test_fused_is_stock(shape: tuple[int, ...], options: str, variance: str, training: bool) -> None:
    norm = shaken(ChannelsLastBatchNorm1d(5, **OPTIONS[options], variance=variance))
    stock = nn.Sequential(norm, nn.Tanh()).train(training)
    fused = copy.deepcopy(stock)
    assert [site.kind for site in namegen_ext.fuse(fused).fused] == ["batch_norm"]
    for seed in range(2):
        x = inputs(*shape, seed=seed)
        first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
        expected, actual = stock(first), fused(second)
        torch.testing.assert_close(actual, expected, **ROUNDING)
        expected.pow(3).sum().backward()
        actual.pow(3).sum().backward()
        torch.testing.assert_close(second.grad, first.grad, rtol=1e-10, atol=1e-10)
    for (name, parameter), other in zip(stock.named_parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(other.grad, parameter.grad, rtol=1e-10, atol=1e-10, msg=name)
    for key, value in stock.state_dict().items():
        torch.testing.assert_close(fused.state_dict()[key], value, **ROUNDING, msg=key)


@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("variance", ["biased", "unbiased"])
@pytest.mark.parametrize("shape", [(1, 5), (1, 1, 5), (5,)])
def test_one_value_per_channel_is_an_error(shape: tuple[int, ...], variance: str, fuse: bool) -> None:
    net = nn.Sequential(ChannelsLastBatchNorm1d(5, variance=variance), nn.Tanh())
    if fuse:
        namegen_ext.fuse(net)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        net(torch.zeros(shape))
    assert net(torch.zeros(2, 5)).shape == (2, 5)
    assert net.eval()(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("variance", ["biased", "unbiased"])
def test_no_rows_are_as_in_the_stock_layer(variance: str, training: bool) -> None:
    for fuse in (False, True):
        net = nn.Sequential(ChannelsLastBatchNorm1d(5, variance=variance), nn.Tanh()).train(training)
        if fuse:
            namegen_ext.fuse(net)
        assert net(torch.zeros(2, 0, 5)).shape == (2, 0, 5)


def test_an_unknown_variance_is_named() -> None:
    with pytest.raises(ValueError, match="variance must be one of biased, unbiased, but got 'both'"):
        ChannelsLastBatchNorm1d(5, variance="both")
