"""Models by name."""

from __future__ import annotations

import inspect

import pytest
import torch

from namegen_ext.models import MLP, MODELS, PLANNED_MODELS, build_model, model_spec


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
    arguments = set(inspect.signature(MODELS[name].build).parameters)
    assert arguments == {"vocab_size", "generator", *MODELS[name].options}


@pytest.mark.parametrize("name", PLANNED_MODELS)
def test_a_planned_model_says_so(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is not part of this version; available: mlp"):
        model_spec(name)


def test_an_unknown_model_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="one of mlp, but got 'rnn'"):
        build_model("rnn", {"vocab_size": 9})


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(ValueError, match="but got depth"):
        build_model("mlp", {"vocab_size": 9, "depth": 3})


def test_vocab_size_is_needed() -> None:
    with pytest.raises(ValueError, match="must hold vocab_size"):
        build_model("mlp", {"block_size": 3})
