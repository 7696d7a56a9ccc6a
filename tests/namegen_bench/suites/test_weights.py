"""The weights that peers without modules take up give the logits of the model."""

from __future__ import annotations

import pytest
import torch

from namegen_bench.measuring.workers import PeerUnavailableError
from namegen_bench.suites.train.weights import read_weights
from namegen_ext.models import GPT, MLP, Bigram, WaveNet
from namegen_ext.models.window_model import WindowModel

MODELS = {
    "mlp": lambda: MLP(9, block_size=3, embedding_dim=4, hidden_size=6, batch_norm=False),
    "mlp-deep": lambda: MLP(9, block_size=3, embedding_dim=4, hidden_size=6, num_hidden_layers=3),
    "wavenet": lambda: WaveNet(9, block_size=6, embedding_dim=4, hidden_size=6, factors=(2, 3)),
}


@pytest.mark.parametrize("name", MODELS)
def test_they_compute_what_the_model_does(name: str) -> None:
    model: WindowModel = MODELS[name]().double()
    for parameter in model.parameters():  # no gain of 1, no bias of 0
        torch.nn.init.uniform_(parameter, -1, 1, generator=torch.Generator().manual_seed(5))
    weights = read_weights(model)
    tokens = torch.randint(9, (10, model.block_size), generator=torch.Generator().manual_seed(6))
    x = weights.embedding[tokens]  # (B, T, C)
    for level in weights.levels:
        batch_size, length, channels = x.shape
        x = x.reshape(batch_size, length // level.group, level.group * channels) @ level.weight
        if level.bias is not None:
            x = x + level.bias
        if level.gain is not None and level.shift is not None:
            mean, var = x.mean((0, 1)), x.var((0, 1), unbiased=False)
            x = (x - mean) / (var + 1e-5).sqrt() * level.gain + level.shift
        x = x.tanh()
    logits, _ = model.train()(tokens)
    assert torch.allclose(x[:, 0] @ weights.output_weight + weights.output_bias, logits, rtol=0, atol=1e-12)


def test_a_bigram_is_its_logits() -> None:
    model = Bigram(5)
    weights = read_weights(model)
    assert torch.equal(weights.embedding, model.table.weight)
    assert (weights.levels, weights.output_weight, weights.output_bias) == ((), None, None)


def test_what_is_no_window_model_is_refused() -> None:
    with pytest.raises(PeerUnavailableError, match="it is not written for a GPT"):
        read_weights(GPT(5, block_size=4, embedding_dim=8, num_layers=1, num_heads=2))


def test_they_are_copies() -> None:
    model = MODELS["mlp"]()
    weights = read_weights(model)
    before = model.net[0].weight.clone()
    weights.embedding.zero_()
    weights.levels[0].weight.zero_()
    assert torch.equal(model.net[0].weight, before)
    assert model.net[2].weight.abs().max() > 0
