"""The layouts, which need no torch, against the models that torch builds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from namegen_ext.models import MODELS, build_model
from namegen_ext.models.layouts import BATCH_NORM_EPS, model_layout
from namegen_ext.nn import ChannelsLastBatchNorm1d


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A model that the layouts cover, and a value for each of its options."""
    name = draw(st.sampled_from([name for name in MODELS if name != "mixture"]))
    factors = draw(st.sampled_from([[1], [2], [2, 2], [4, 2], [2, 3, 2]]))
    options = {
        "block_size": math.prod(factors) if name == "wavenet" else draw(st.integers(1, 4)),
        "embedding_dim": draw(st.integers(1, 4)) * 2 if name == "gpt" else draw(st.integers(1, 9)),
        "num_layers": draw(st.integers(1, 3)),
        "num_heads": draw(st.integers(1, 2)),
        "dropout": 0.0,
        "tied": draw(st.booleans()),
        "norm": draw(st.sampled_from(["layer", "rms"])),
        "activation": draw(st.sampled_from(["gelu", "gelu-tanh", "relu"])),
        "biases": draw(st.booleans()),
        "final_norm": draw(st.booleans()),
        "embedding_norm": draw(st.booleans()),
        "hidden_size": draw(st.integers(1, 12)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "factors": factors,
        "batch_norm": draw(st.booleans()),
        "hidden_bias": draw(st.booleans()),
        "batch_norm_variance": draw(st.sampled_from(["biased", "unbiased"])),
        "init": draw(st.sampled_from(["plain", "kaiming"])),
    }
    config = {name: options[name] for name in MODELS[name].options if name in options}
    return name, {"vocab_size": draw(st.integers(2, 9)), **config}


@given(configurations())
def test_a_layout_is_the_state_of_the_model(case: tuple[str, dict[str, Any]]) -> None:
    name, config = case
    layout = model_layout(name, config)
    assert layout is not None
    model = build_model(name, config)
    assert model.config == config, "every option was given"
    assert layout.block_size == model.block_size
    expected = {
        key: (str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape))
        for key, tensor in model.state_dict().items()
    }
    assert layout.state() == expected


def test_every_model_has_a_layout() -> None:
    for name in MODELS:
        needed = {"components": [{"name": "mlp"}]} if name == "mixture" else {}
        model = build_model(name, {"vocab_size": 5, **needed})
        assert model_layout(name, model.config).state().keys() == model.state_dict().keys()


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3), ChannelsLastBatchNorm1d(3)])
def test_the_eps_is_that_of_the_batch_norms(norm: nn.BatchNorm1d) -> None:
    assert norm.eps == BATCH_NORM_EPS


@pytest.mark.parametrize(
    ("name", "config"),
    [("ngram", {"vocab_size": 30, "block_size": 9, "init": "counts"}), ("bigram", {"vocab_size": 9000})],
)
def test_a_table_that_is_too_large_is_refused_as_the_model_refuses_it(
    name: str, config: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="table of at most") as by_layout:
        model_layout(name, config)
    with pytest.raises(ValueError, match="table of at most") as by_model:
        build_model(name, config)
    assert str(by_layout.value) == str(by_model.value)
