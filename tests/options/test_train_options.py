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
    ("init", "counts"),
    ("hidden_bias", 0),
    ("batch_norm_variance", "both"),
    ("factors", 2),
    ("num_layers", 0),
    ("num_heads", 0),
    ("dropout", 1.0),
    ("dropout", -0.1),
    ("tied", "yes"),
    ("estimator", "good-turing"),
    ("smoothing", -0.5),
    ("smoothing", float("inf")),
    ("switch_at", -0.1),
    ("switch_at", 1.1),
    ("full_batch", 1),
    ("split", "half"),
    ("optimizer", "lion"),
    ("learning_rate", 0.0),
    ("learning_rate", -0.1),
    ("learning_rate", float("nan")),
    ("learning_rate", float("inf")),
    ("learning_rate", "0.1"),
    ("final_learning_rate", -1e-9),
    ("schedule", "steep"),
    ("norm", "batch"),
    ("activation", "tanh"),
    ("order", "sorted"),
    ("ema", 1.0),
    ("clip_grad_norm", -1.0),
    ("warmup", 20_001),
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
    ("block_size", 1025),
    ("embedding_dim", 65_537),
    ("hidden_size", 2**20 + 1),
    ("num_hidden_layers", 1001),
    ("num_layers", 1001),
    ("num_heads", 1025),
    ("batch_size", 2**20 + 1),
    ("steps", 10**9 + 1),
    ("steps", -1),
    ("learning_rate", 3.1e38),
    ("learning_rate", 10**400),
    ("final_learning_rate", float("inf")),
    ("weight_decay", 1e300),
    ("smoothing", 1e300),
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
        ("factors", {"model": "wavenet", "block_size": 8, "factors": "2x2"}),
        ("factors", {"model": "wavenet", "block_size": 8, "factors": "2xx4"}),
        ("factors", {"model": "wavenet", "block_size": 8, "factors": "-2x-4"}),
        ("factors", {"model": "wavenet", "block_size": 8, "factors": " 2x4"}),
        ("factors", {"model": "wavenet", "block_size": 8, "factors": "٢x4"}),
        ("factors", {"model": "wavenet", "block_size": 8, "factors": "2x4x"}),
        ("factors", {"model": "wavenet", "block_size": 8, "factors": ""}),
        ("num_heads", {"model": "gpt", "embedding_dim": 10, "num_heads": 4}),
        ("block_size", {"model": "bigram", "block_size": 3}),
        ("init", {"model": "gpt", "embedding_dim": 8, "init": "counts"}),
        ("steps", {"model": "bigram", "block_size": 1, "steps": 0}),
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
    TrainOptions(batch_size=1, batch_norm=True, full_batch=True)
    TrainOptions(model="gpt", embedding_dim=8, batch_size=1, batch_norm=True)
    TrainOptions(model="bigram", block_size=1, init="counts", steps=0, smoothing=0)
    TrainOptions(switch_at=0, dropout=0)
    TrainOptions(switch_at=1)
    TrainOptions(block_size=1024, embedding_dim=65_536, hidden_size=2**20, num_hidden_layers=1000)
    TrainOptions(model="gpt", embedding_dim=1024, num_heads=1024, num_layers=1000)
    TrainOptions(
        batch_size=2**20, steps=10**9, learning_rate=3e38, final_learning_rate=3e38, weight_decay=3e38
    )
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


@pytest.mark.parametrize(
    ("factors", "block_size", "expected"),
    [("auto", 8, [2, 2, 2]), ("auto", 12, [2, 2, 3]), ("auto", 1, [1]), ("8", 8, [8]), ("4x2", 8, [4, 2])],
)
def test_factors(factors: str, block_size: int, expected: list[int]) -> None:
    options = TrainOptions(model="wavenet", block_size=block_size, factors=factors)
    assert options.model_config(27)["factors"] == expected
