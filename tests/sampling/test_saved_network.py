"""The two ways to a network, off a module and off a saved state: the same arrays, to the bit, and the same names."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from namegen_ext.data import Vocabulary
from namegen_ext.models import build_model
from namegen_ext.models.layouts import model_layout
from namegen_ext.sampling import NameSampler, SamplingError, sample_names
from namegen_ext.sampling.distribution import ModelDistribution
from namegen_ext.sampling.module_network import read_network
from namegen_ext.sampling.sampling_network import Level, Network
from namegen_ext.sampling.saved_network import saved_network
from namegen_ext.sampling.shaping import Shaping

VOCABULARY = Vocabulary("abcdefgh")
V = len(VOCABULARY)

HIDDEN: list[dict[str, Any]] = [
    {"batch_norm": batch_norm, "hidden_bias": bias, "batch_norm_variance": variance}
    for batch_norm, bias, variance in itertools.product((True, False), (True, False), ("biased", "unbiased"))
]
MODELS: list[tuple[str, dict[str, Any]]] = [
    *(("bigram", {"init": init}) for init in ("plain", "counts")),
    *(("ngram", {"block_size": block, "init": init}) for block in (1, 3) for init in ("plain", "counts")),
    *(
        (
            "mlp",
            {"block_size": 3, "embedding_dim": 5, "hidden_size": 17, "num_hidden_layers": layers, **hidden},
        )
        for layers in (1, 3)
        for hidden in HIDDEN
    ),
    *(
        ("wavenet", {"block_size": 4, "embedding_dim": 5, "hidden_size": 17, "factors": factors, **hidden})
        for factors in ([2, 2], [4])
        for hidden in HIDDEN
    ),
]


def trained_looking(name: str, options: dict[str, Any]) -> nn.Module:
    """A model whose numbers have all been changed from what they are at first."""
    generator = torch.Generator().manual_seed(3)
    model = build_model(name, {"vocab_size": V, **options}, generator)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                draws = torch.randn(tensor.shape, generator=generator)
                tensor.copy_(draws.abs() + 0.1 if key.endswith("running_var") else draws)
    return model.eval()


def both_ways(name: str, options: dict[str, Any]) -> tuple[nn.Module, Network, Network]:
    model = trained_looking(name, options)
    by_module = read_network(ModelDistribution(model, V, model.block_size, Shaping()))
    layout = model_layout(name, model.config)
    assert layout is not None
    arrays = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    return model, by_module, saved_network(layout, arrays)


def same(first: np.ndarray, second: np.ndarray) -> bool:
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@pytest.mark.parametrize(("name", "options"), MODELS)
def test_the_arrays_are_equal_to_the_bit(name: str, options: dict[str, Any]) -> None:
    _, by_module, saved = both_ways(name, options)
    assert by_module.block_size == saved.block_size
    assert same(by_module.embedding, saved.embedding)
    assert len(by_module.levels) == len(saved.levels)
    for first, second in zip(by_module.levels, saved.levels, strict=True):
        assert (first.factor, first.tanh) == (second.factor, second.tanh)
        assert same(first.weight, second.weight)
        assert same(first.bias, second.bias)


@pytest.mark.parametrize(("name", "options"), MODELS)
def test_the_names_depend_on_neither_way_nor_method(name: str, options: dict[str, Any]) -> None:
    model, _, saved = both_ways(name, options)
    drawn = [
        sample_names(source, VOCABULARY, 2000, seed=11, top_k=6, temperature=1.5, prefix="ab", method=method)  # type: ignore[arg-type]
        for source in (model, saved)
        for method in ("direct", "table")
    ]
    assert len(set(drawn[0])) > 100
    assert all(names == drawn[0] for names in drawn)


def test_what_a_network_cannot_have_is_refused() -> None:
    _, _, network = both_ways("ngram", {"block_size": 2, "init": "plain"})
    with pytest.raises(ValueError, match="backend must be 'auto' or 'native' for a network without a module"):
        NameSampler(network, VOCABULARY, 1, backend="python")
    with pytest.raises(ValueError, match="network of 9 symbols and block_size 3, but has 9 and 2"):
        NameSampler(network, VOCABULARY, 1, block_size=3)
    with pytest.raises(ValueError, match="network of 4 symbols and block_size 2, but has 9 and 2"):
        NameSampler(network, Vocabulary("abc"), 1)
    huge = Network(40, np.zeros((V, 1), np.float32), (Level(40, np.zeros((V, 40)), np.zeros(V)),))
    with pytest.raises(
        ValueError, match="network that the native sampler covers: a context must fit into 128 bits"
    ):
        NameSampler(huge, VOCABULARY, 1)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_network_that_diverged_is_told(number: float) -> None:
    _, _, network = both_ways("mlp", {"block_size": 2, "batch_norm": True})
    network.levels[0].bias[1] = number
    with pytest.raises(SamplingError, match="not all finite"):
        NameSampler(network, VOCABULARY, 1)
