"""The MLP: its parameters, its forward pass against plain tensor arithmetic, and its errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext.models import MLP


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def written_out(model: MLP, tokens: Tensor) -> Tensor:
    """The logits of (n, block_size) tokens in float64, from the weights; batch norm as in evaluation."""
    state = {name: value.double() for name, value in model.state_dict().items()}
    x = state["net.0.weight"][tokens].reshape(len(tokens), -1)  # (n, block_size * E)
    index = 2
    for _ in range(model.num_hidden_layers):
        x = x @ state[f"net.{index}.weight"].T + state[f"net.{index}.bias"]  # (n, H)
        if model.batch_norm:
            index += 1
            mean, variance = state[f"net.{index}.running_mean"], state[f"net.{index}.running_var"]
            x = (x - mean) / torch.sqrt(variance + 1e-5)
            x = x * state[f"net.{index}.weight"] + state[f"net.{index}.bias"]
        x = torch.tanh(x)
        index += 2
    return x @ state[f"net.{index}.weight"].T + state[f"net.{index}.bias"]  # (n, V)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch_norm": False}, 11_897),
        ({"batch_norm": True}, 12_297),
        ({"batch_norm": False, "num_hidden_layers": 2}, 11_897 + 200 * 200 + 200),
        ({"batch_norm": True, "block_size": 8}, 12_297 + 5 * 10 * 200),
    ],
)
def test_number_of_parameters(options: dict[str, Any], expected: int) -> None:
    assert count(MLP(27, **options)) == expected


@pytest.mark.parametrize("batch_norm", [False, True])
def test_layers_are_stock(batch_norm: bool) -> None:
    model = MLP(27, num_hidden_layers=2, batch_norm=batch_norm)
    hidden = [nn.Linear, nn.BatchNorm1d, nn.Tanh] if batch_norm else [nn.Linear, nn.Tanh]
    assert type(model.net) is nn.Sequential
    assert [type(layer) for layer in model.net] == [nn.Embedding, nn.Flatten, *hidden, *hidden, nn.Linear]


@pytest.mark.parametrize("num_hidden_layers", [1, 2])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_forward_equals_the_arithmetic(batch_norm: bool, num_hidden_layers: int) -> None:
    model = MLP(11, 4, 5, 17, num_hidden_layers, batch_norm, generator=generator()).eval()
    for layer in model.net:  # statistics and an affine part that are not the initial ones
        if isinstance(layer, nn.BatchNorm1d):
            for tensor, low in ((layer.running_mean, -1.0), (layer.running_var, 0.5), (layer.weight, 0.5)):
                assert tensor is not None
                tensor.data.uniform_(low, 2.0, generator=generator(1))
    tokens = torch.randint(11, (64, 4), generator=generator(2))
    targets = torch.randint(11, (64,), generator=generator(3))
    logits, loss = model(tokens, targets)
    expected = written_out(model, tokens)
    # Sums of at most 20 float32 products of size about 1, twice: some 20 * 6e-8 of their size.
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-5)
    assert loss is not None
    assert loss.item() == pytest.approx(F.cross_entropy(expected, targets).item(), abs=1e-5)


def test_without_targets_there_is_no_loss() -> None:
    logits, loss = MLP(27)(torch.zeros(2, 3, dtype=torch.int64))
    assert logits.shape == (2, 27)
    assert loss is None


@pytest.mark.parametrize("leading", [(), (1,), (2, 3), (2, 1, 4)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_any_leading_shape(leading: tuple[int, ...], batch_norm: bool) -> None:
    model = MLP(27, batch_norm=batch_norm, generator=generator()).eval()
    tokens = torch.randint(27, (*leading, 3), generator=generator(1))
    targets = torch.randint(27, leading, generator=generator(2))
    logits, loss = model(tokens, targets)
    flat_logits, flat_loss = model(tokens.reshape(-1, 3), targets.reshape(-1))
    assert logits.shape == (*leading, 27)
    assert torch.equal(logits.reshape(-1, 27), flat_logits)
    assert loss is not None
    assert torch.equal(loss, flat_loss)


def test_batch_norm_normalises_over_all_leading_dimensions() -> None:
    tokens = torch.randint(27, (4, 5, 3), generator=generator(1))
    shaped, flat = (MLP(27, generator=generator()) for _ in range(2))
    shaped(tokens)
    flat(tokens.reshape(20, 3))
    assert torch.equal(shaped.net[3].running_mean, flat.net[3].running_mean)
    assert torch.equal(shaped.net[3].running_var, flat.net[3].running_var)


def test_the_generator_decides_the_weights() -> None:
    first, again, other = (MLP(27, generator=generator(seed)) for seed in (7, 7, 8))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.net[0].weight, other.net[0].weight)


def test_a_generator_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    MLP(27, generator=generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_the_global_one_is_used() -> None:
    torch.manual_seed(3)
    from_global = MLP(27)
    assert torch.equal(from_global.net[2].weight, MLP(27, generator=generator(3)).net[2].weight)


def test_config_survives_json_and_rebuilds() -> None:
    model = MLP(19, 5, 6, 7, 2, False, "scaled-hidden", generator(1))
    config = json.loads(json.dumps(model.config))
    rebuilt = MLP(**config, generator=generator(1))
    assert rebuilt.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(value, rebuilt.state_dict()[name])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("vocab_size", 0),
        ("block_size", -1),
        ("embedding_dim", 2.0),
        ("hidden_size", "200"),
        ("num_hidden_layers", 0),
        ("hidden_size", True),
        ("batch_norm", "yes"),
        ("init", "xavier"),
    ],
)
def test_a_wrong_argument_is_named(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{argument} must be .*{value!r}"):
        MLP(**{"vocab_size": 27, argument: value})


@pytest.mark.parametrize("shape", [(), (3, 2), (2, 4, 4)])
def test_tokens_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"tokens must be \(\.\.\., 3\)"):
        MLP(27)(torch.zeros(shape, dtype=torch.int64))


def test_a_token_out_of_range_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        MLP(27)(torch.full((2, 3), 27))
