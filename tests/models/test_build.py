"""Models by name."""

from __future__ import annotations

import inspect

import pytest
import torch

from namegen_ext.models import MLP, MODELS, CountModel, build_model, model_spec

# What a model is built with beside the number of symbols, where a search finds that.
NEEDED = {
    "mixture": {"components": [{"name": "mlp", "hidden_size": 3}, {"name": "ngram", "estimator": "add-k"}]}
}


def test_building_by_name_is_calling_the_class() -> None:
    built = build_model(
        "mlp", {"vocab_size": 9, "block_size": 2, "init": "plain"}, torch.Generator().manual_seed(1)
    )
    direct = MLP(9, block_size=2, init="plain", generator=torch.Generator().manual_seed(1))
    assert type(built) is MLP
    assert built.config == direct.config
    assert torch.equal(built.net[-1].weight, direct.net[-1].weight)


@pytest.mark.parametrize("name", MODELS)
def test_options_are_the_constructors_arguments(name: str) -> None:
    build = CountModel if name == "ngram" else MODELS[name].build
    arguments = set(inspect.signature(build).parameters)
    spec = MODELS[name]
    options = spec.found or spec.options
    assert arguments == {"vocab_size", "generator", *options, *spec.with_categories}


@pytest.mark.parametrize("name", MODELS)
def test_a_models_configuration_rebuilds_it(name: str) -> None:
    first = build_model(name, {"vocab_size": 9, **NEEDED.get(name, {})}, torch.Generator().manual_seed(1))
    again = build_model(name, first.config, torch.Generator().manual_seed(1))
    assert again.config == first.config
    for key, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


def test_the_contracts_models_are_there() -> None:
    assert {"bigram", "mlp", "wavenet", "gpt"} <= set(MODELS)


def test_an_unknown_model_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match=f"one of {', '.join(MODELS)}, but got 'rnn'"):
        build_model("rnn", {"vocab_size": 9})
    with pytest.raises(ValueError, match=r"one of .*mlp.*, but got 'rnn'"):
        model_spec("rnn")


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(ValueError, match="but got depth"):
        build_model("mlp", {"vocab_size": 9, "depth": 3})


def test_vocab_size_is_needed() -> None:
    with pytest.raises(ValueError, match="must hold vocab_size"):
        build_model("mlp", {"block_size": 3})
