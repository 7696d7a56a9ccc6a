"""The WaveNet: its parameters, its forward pass against plain tensor arithmetic, fusing, and its errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import namegen_ext
from namegen_ext.models import WaveNet
from namegen_ext.nn import ChannelsLastBatchNorm1d, FlattenConsecutive


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def written_out(model: WaveNet, tokens: Tensor) -> Tensor:
    """The logits of (n, block_size) tokens in float64, position by position; batch norm as in training."""
    state = {name: value.double() for name, value in model.state_dict().items()}
    positions = [state["net.0.weight"][column] for column in tokens.T]  # T of (n, E)
    index = 2
    for factor in model.factors:
        weight, bias = state[f"net.{index}.weight"], state.get(f"net.{index}.bias", torch.zeros(1))
        joined = [
            torch.cat(positions[start : start + factor], dim=1) @ weight.T + bias
            for start in range(0, len(positions), factor)
        ]
        if model.batch_norm:
            index += 1
            rows = torch.cat(joined)  # batch and positions together
            deviation = torch.sqrt(rows.var(dim=0, correction=0) + 1e-5)
            scale, shift = state[f"net.{index}.weight"], state[f"net.{index}.bias"]
            joined = [(rows_at - rows.mean(dim=0)) / deviation * scale + shift for rows_at in joined]
        positions = [torch.tanh(rows_at) for rows_at in joined]
        index += 3
    assert len(positions) == 1
    return positions[0] @ state[f"net.{index - 1}.weight"].T + state[f"net.{index - 1}.bias"]  # (n, V)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 76_579),
        ({"embedding_dim": 10, "hidden_size": 200, "factors": (8,)}, 22_097),
        ({"embedding_dim": 10, "hidden_size": 68}, 22_397),
        ({"hidden_bias": True}, 76_579 + 3 * 128),
        ({"batch_norm": False}, 76_579 - 3 * 256),
    ],
)
def test_number_of_parameters(options: dict[str, Any], expected: int) -> None:
    assert count(WaveNet(27, **options)) == expected


def test_layers_in_their_order() -> None:
    model = WaveNet(27, factors=[2, 4])
    level = [FlattenConsecutive, nn.Linear, ChannelsLastBatchNorm1d, nn.Tanh]
    assert type(model.net) is nn.Sequential
    assert [type(layer) for layer in model.net] == [nn.Embedding, *level, *level, nn.Linear]


@pytest.mark.parametrize("factors", [(2, 2, 2), (8,), (2, 4), (4, 2)])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("fuse", [False, True])
def test_forward_equals_the_arithmetic(factors: tuple[int, ...], batch_norm: bool, fuse: bool) -> None:
    options: dict[str, Any] = {"factors": factors, "batch_norm": batch_norm, "hidden_bias": not batch_norm}
    model = WaveNet(11, 8, 5, 17, **options, init="scaled-hidden", generator=generator())
    if fuse:
        namegen_ext.fuse(model)
    tokens = torch.randint(11, (64, 8), generator=generator(2))
    targets = torch.randint(11, (64,), generator=generator(3))
    expected = written_out(model, tokens)
    logits, loss = model(tokens, targets)
    # Sums of at most 136 float32 products, four times: some 136 * 6e-8 of their size, up to 3 levels deep, each
    # divided by a standard deviation of about 0.1 in batch norm; logits are 0.01 of that.
    torch.testing.assert_close(logits.double(), expected, rtol=1e-3, atol=1e-5)
    assert loss is not None
    assert loss.item() == pytest.approx(F.cross_entropy(expected, targets).item(), abs=1e-5)


def test_factors_are_the_prime_factors_unless_given() -> None:
    assert WaveNet(9, 8, 2, 3).factors == (2, 2, 2)
    assert WaveNet(9, 12, 2, 3).factors == (2, 2, 3)
    assert WaveNet(9, 7, 2, 3).factors == (7,)
    assert WaveNet(9, 1, 2, 3).factors == (1,)


@pytest.mark.parametrize("leading", [(), (1,), (2, 3)])
def test_any_leading_shape(leading: tuple[int, ...]) -> None:
    model = WaveNet(27, 4, 3, 5, generator=generator()).eval()
    tokens = torch.randint(27, (*leading, 4), generator=generator(1))
    logits, loss = model(tokens, torch.zeros(leading, dtype=torch.int64))
    assert logits.shape == (*leading, 27)
    assert torch.equal(logits.reshape(-1, 27), model(tokens.reshape(-1, 4))[0])
    assert loss is not None
    assert loss.dim() == 0


def test_fusing_covers_the_first_level_and_every_product_and_batch_norm() -> None:
    report = namegen_ext.fuse(WaveNet(27))
    assert [(site.name, site.layers) for site in report.fused] == [
        ("net.0..4", "Embedding, FlattenConsecutive, Linear, ChannelsLastBatchNorm1d, Tanh"),
        ("net.6", "Linear"),
        ("net.7..8", "ChannelsLastBatchNorm1d, Tanh"),
        ("net.10", "Linear"),
        ("net.11..12", "ChannelsLastBatchNorm1d, Tanh"),
        ("net.13", "Linear"),
    ]
    without = namegen_ext.fuse(WaveNet(27, batch_norm=False))
    assert [site.layers for site in without.fused] == [
        "Embedding, FlattenConsecutive, Linear, Tanh",
        "Linear",
        "Linear",
        "Linear",
    ]


def test_config_survives_json_and_rebuilds() -> None:
    options: dict[str, Any] = {"hidden_bias": True, "batch_norm_variance": "unbiased"}
    model = WaveNet(19, 6, 5, 7, (3, 2), True, "plain", generator(1), **options)
    rebuilt = WaveNet(**json.loads(json.dumps(model.config)), generator=generator(1))
    assert rebuilt.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(value, rebuilt.state_dict()[name])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("vocab_size", 0),
        ("block_size", 2.0),
        ("embedding_dim", True),
        ("hidden_size", "9"),
        ("batch_norm", 1),
        ("hidden_bias", None),
        ("batch_norm_variance", "both"),
        ("init", "counts"),
        ("factors", (2, 2)),
        ("factors", ()),
        ("factors", (8, 1)),
        ("factors", (-2, -4)),
        ("factors", (8.0,)),
        ("factors", 8),
        ("factors", "8"),
    ],
)
def test_a_wrong_argument_is_named(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{argument} must be ") as caught:
        WaveNet(**{"vocab_size": 27, argument: value})
    assert repr(value) in str(caught.value)


def test_a_token_out_of_range_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        WaveNet(27)(torch.full((2, 8), 27))
