"""Reading a network from a model's layers: it computes what the model computes, or says why it does not cover it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from namegen_ext import fuse
from namegen_ext.models import MLP, Bigram, NGram, WaveNet
from namegen_ext.nn import ChannelsLastBatchNorm1d, FlattenConsecutive, FusedBatchNorm1d
from namegen_ext.sampling.distribution import ModelDistribution, Shaping
from namegen_ext.sampling.module_network import read_network
from namegen_ext.sampling.native import native_network
from namegen_ext.sampling.sampling_errors import NotCoveredError
from namegen_ext.sampling.sampling_network import logits

V = 6


def distribution(model: nn.Module, block_size: int = 4, vocab_size: int = V) -> ModelDistribution:
    return ModelDistribution(model, vocab_size, block_size, Shaping())


def used(model: nn.Module) -> nn.Module:
    """A model whose batch norms have seen something, back in training mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
            if module.running_mean is not None:
                module.running_mean.normal_(0.0, 0.5)
                module.running_var.uniform_(0.5, 2.0)
    return model.train()


def check_covered(model: nn.Module, block_size: int = 4, vocab_size: int = V) -> None:
    direct = distribution(model, block_size, vocab_size)
    contexts = torch.randint(vocab_size, (300, block_size))
    expected = direct.logits(contexts).double()  # (N, V), by torch in float32
    network = read_network(direct)
    exact = torch.from_numpy(logits(network, contexts.numpy()))  # (N, V), in float64
    found = torch.from_numpy(native_network(network).logits(contexts.numpy())).double()
    largest = 1 + exact.abs().max()
    assert (expected - exact).abs().max() < 1e-5 * largest  # the layers were read right
    assert (found - exact).abs().max() < 1e-5 * largest


@settings(max_examples=40)
@given(data=st.data())
def test_the_package_s_networks(data: st.DataObject) -> None:
    torch.manual_seed(data.draw(st.integers(0, 10_000)))
    vocab_size = data.draw(st.integers(2, 300))
    sizes = {"embedding_dim": data.draw(st.integers(1, 64)), "hidden_size": data.draw(st.integers(1, 520))}
    batch_norm = data.draw(st.booleans())
    if data.draw(st.booleans()):
        block_size = data.draw(st.integers(1, 14))
        layers = data.draw(st.integers(1, 3))
        model: nn.Module = MLP(
            vocab_size, block_size, num_hidden_layers=layers, batch_norm=batch_norm, **sizes
        )
    else:
        factors = data.draw(st.sampled_from([[2], [2, 2, 2], [4, 2], [2, 3], [3, 2], [8], [2, 3, 2]]))
        block_size = math.prod(factors)
        model = WaveNet(vocab_size, block_size, factors=factors, batch_norm=batch_norm, **sizes)
    check_covered(used(model), block_size, vocab_size)


COVERED: dict[str, Callable[[], nn.Module]] = {
    "no hidden layer": lambda: nn.Sequential(nn.Embedding(V, 3), nn.Flatten(), nn.Linear(12, V)),
    "no bias, dropout": lambda: nn.Sequential(
        nn.Embedding(V, 3, padding_idx=1),
        nn.Dropout(0.5),
        nn.Flatten(-2),
        nn.Linear(12, 9, bias=False),
        nn.Tanh(),
        nn.Identity(),
        nn.Linear(9, V, bias=False),
    ),
    "a layer at each position": lambda: nn.Sequential(
        nn.Embedding(V, 3),
        nn.Linear(3, 5),
        ChannelsLastBatchNorm1d(5),
        nn.Tanh(),
        FlattenConsecutive(2),
        nn.Linear(10, 4),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(8, V),
    ),
    "joined twice before a layer": lambda: nn.Sequential(
        nn.Embedding(V, 3), FlattenConsecutive(2), FlattenConsecutive(2), nn.Linear(12, V)
    ),
    "fused batch norm with tanh, logits normalised": lambda: nn.Sequential(
        nn.Embedding(V, 3),
        nn.Flatten(),
        nn.Linear(12, 7),
        FusedBatchNorm1d(7, activation="tanh"),
        nn.Linear(7, V),
        nn.BatchNorm1d(V, affine=True),
    ),
    "two linear layers, logits through tanh": lambda: nn.Sequential(
        nn.Embedding(V, 3), nn.Flatten(), nn.Linear(12, 7), nn.Linear(7, V), nn.Tanh()
    ),
    "fused": lambda: _fused(WaveNet(V, block_size=4, embedding_dim=3, hidden_size=8)),
}


def _fused(model: nn.Module) -> nn.Module:
    assert any(site.fused for site in fuse(model).sites)
    return model


def test_tables_of_logits() -> None:
    """Counting models and bigrams are networks without levels: their logits come out as they stand in the table."""
    models = [
        (Bigram(V, init="plain"), 1),
        (NGram(V, 3, init="plain"), 3),
        (nn.Sequential(nn.Embedding(V, V), nn.Flatten()), 1),
        (fused_bigram(), 1),
    ]
    for model, block_size in models:
        direct = distribution(model, block_size)
        network = read_network(direct)
        assert network.levels == ()
        contexts = torch.randint(V, (300, block_size))
        expected = direct.logits(contexts).numpy()  # (N, V)
        assert (logits(network, contexts.numpy()) == expected).all()
        assert (native_network(network).logits(contexts.numpy()) == expected).all()


def fused_bigram() -> nn.Module:
    model = Bigram(V, init="plain")
    fuse(model)
    return model


@pytest.mark.parametrize("name", COVERED)
def test_covered(name: str) -> None:
    torch.manual_seed(1)
    check_covered(used(COVERED[name]()))


class Doubled(MLP):
    """Has the layers of an MLP and computes something else."""

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        return 2 * self.net(tokens), None


class Beside(nn.Module):
    """A parameter of its own beside the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Embedding(V, 3), nn.Flatten(), nn.Linear(12, V))
        self.shift = nn.Parameter(torch.zeros(V))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.net(tokens) + self.shift


def _mlp() -> MLP:
    return MLP(V, block_size=4, embedding_dim=3, hidden_size=8)


def _with_hook() -> nn.Module:
    model = _mlp()
    model.net[2].register_forward_hook(lambda *arguments: None)
    return model


def _parametrised() -> nn.Module:
    model = _mlp()
    parametrizations.weight_norm(model.net[2])
    return model


def _without_statistics() -> nn.Module:
    model = _mlp()
    model.net[3] = nn.BatchNorm1d(8, track_running_stats=False)
    return model


def _sequential(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Embedding(V, 3), *layers)


NOT_COVERED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "another forward": (
        lambda: Doubled(V, block_size=4, embedding_dim=3, hidden_size=8),
        "something else than its layers",
    ),
    "parameters beside": (Beside, "Beside is not one nn.Sequential"),
    "hooks": (_with_hook, r"layer net\.2 \(Linear\) has hooks"),
    "parametrised": (_parametrised, "nn.Linear is expected, but there stands ParametrizedLinear"),
    "no statistics": (_without_statistics, "keeps no running statistics"),
    "float64": (lambda: _mlp().double(), "float64, not float32"),
    "another activation": (
        _sequential(nn.Flatten(), nn.Linear(12, V), nn.ReLU()),
        "nn.Tanh is expected, but there stands ReLU",
    ),
    "layer norm": (_sequential(nn.LayerNorm(3), nn.Flatten(), nn.Linear(12, V)), "there stands LayerNorm"),
    "tanh of an embedding": (
        _sequential(nn.Tanh(), nn.Flatten(), nn.Linear(12, V)),
        "nn.Linear is expected, but there stands Tanh",
    ),
    "no linear layer": (_sequential(nn.Flatten()), "do not end with a linear layer"),
    "a table of other sizes": (lambda: NGram(V, 3, init="plain"), r"is \(216, 6\), not \(1296, 6\)"),
    "several positions left": (
        _sequential(FlattenConsecutive(2), nn.Linear(6, V)),
        "do not end with a linear layer over the whole context",
    ),
    "positions that cannot be joined": (
        _sequential(FlattenConsecutive(3)),
        "4 positions cannot be joined by 3",
    ),
    "too few logits": (_sequential(nn.Flatten(), nn.Linear(12, V - 1)), "not made for 6 symbols"),
    "renormalised embedding": (
        lambda: nn.Sequential(nn.Embedding(V, 3, max_norm=1.0), nn.Flatten(), nn.Linear(12, V)),
        "first layer is not an nn.Embedding without max_norm",
    ),
    "channels first": (
        _sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(16, V)),
        "takes several positions for its channels",
    ),
}


@pytest.mark.parametrize("name", NOT_COVERED)
def test_not_covered(name: str) -> None:
    build, reason = NOT_COVERED[name]
    with pytest.raises(NotCoveredError, match=reason):
        read_network(distribution(build()))


def test_a_context_too_long_for_a_key() -> None:
    model = MLP(300, block_size=15, embedding_dim=2, hidden_size=4)  # nine bits a symbol
    network = read_network(distribution(model, 15, 300))
    with pytest.raises(NotCoveredError, match="128 bits"):
        native_network(network)


def test_the_model_and_the_generator_stay_as_they_were() -> None:
    model = used(_mlp())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    read_network(distribution(model))
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_tokens_of_the_native_network_are_checked() -> None:
    network = native_network(read_network(distribution(_mlp())))
    for tokens, expected in (
        (torch.zeros(2, 3, dtype=torch.int64), "(contexts, block_size)"),
        (torch.full((2, 4), V), "[0, vocab_size)"),
        (torch.full((2, 4), -1), "[0, vocab_size)"),
    ):
        with pytest.raises(ValueError, match=re.escape(expected)):
            network.logits(tokens.numpy())
