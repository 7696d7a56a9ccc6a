"""Options: every wrong value is one line that names the option; and the way through JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from namegen_ext.training import OptionError, TrainOptions

WRONG = [
    ("model", "rnn"),
    ("model", "lstm"),
    ("model", 3),
    ("block_size", 0),
    ("block_size", 2.5),
    ("embedding_dim", -1),
    ("hidden_size", 2**31),
    ("hidden_size", True),
    ("num_hidden_layers", 0),
    ("batch_norm", 1),
    ("init", "xavier"),
    ("optimizer", "lion"),
    ("learning_rate", 0.0),
    ("learning_rate", -0.1),
    ("learning_rate", float("nan")),
    ("learning_rate", float("inf")),
    ("learning_rate", "0.1"),
    ("final_learning_rate", -1e-9),
    ("schedule", "linear"),
    ("momentum", 1.0),
    ("momentum", -0.1),
    ("weight_decay", -0.1),
    ("beta1", 1.0),
    ("beta2", -0.5),
    ("batch_size", 0),
    ("steps", 0),
    ("seed", -1),
    ("seed", 2**64),
    ("split_seed", -1),
    ("split_seed", 0.5),
]


@pytest.mark.parametrize(("option", "value"), WRONG)
def test_a_wrong_value_is_named(option: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        TrainOptions(**{option: value})
    message = str(caught.value)
    assert caught.value.option == option
    assert message.startswith(f"{option}: ")
    assert str(value) in message
    assert "expected" in message or "available" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("option", "options"),
    [
        ("batch_size", {"batch_size": 1, "batch_norm": True}),
        ("nesterov", {"nesterov": True}),
        ("nesterov", {"nesterov": True, "momentum": 0.9, "optimizer": "adamw"}),
        ("momentum", {"momentum": 0.9, "optimizer": "adamw"}),
    ],
)
def test_values_that_do_not_go_together(option: str, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as caught:
        TrainOptions(**options)
    assert caught.value.option == option


def test_limits_themselves_are_allowed() -> None:
    TrainOptions(batch_size=1, batch_norm=False)
    TrainOptions(batch_size=2, batch_norm=True)
    TrainOptions(learning_rate=1, final_learning_rate=0, seed=2**64 - 1, split_seed=0, momentum=0.999)


def test_the_way_through_json() -> None:
    options = TrainOptions(block_size=5, learning_rate=0.3, batch_norm=False, init="plain", seed=2**63)
    assert TrainOptions.from_json(json.loads(json.dumps(options.to_json()))) == options


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(OptionError, match=r"^depth: there is no such option"):
        TrainOptions.from_json({"depth": 3})


def test_the_default_is_the_batch_normalised_mlp() -> None:
    options = TrainOptions()
    assert (options.embedding_dim, options.block_size, options.hidden_size) == (10, 3, 200)
    assert (options.batch_size, options.steps) == (32, 20_001)
    assert options.batch_norm
    assert options.init == "kaiming"
