"""Bad input: the stock layers' exception types, and the name of the argument in the message."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from namegen_ext import ops

TOKENS = torch.tensor([[0, 1], [2, 3], [4, 0]])
TABLE, WEIGHT, BIAS = torch.ones(5, 3), torch.ones(4, 6), torch.ones(4)


def embed(**changed: Any) -> torch.Tensor:
    arguments = {"tokens": TOKENS, "embedding_weight": TABLE, "linear_weight": WEIGHT, "linear_bias": BIAS}
    return ops.embedding_concat_linear(**(arguments | changed))


X, OF_A_CHANNEL = torch.ones(2, 3), torch.ones(3)
LINEAR_WEIGHT, LINEAR_OUTPUT = torch.ones(4, 3), torch.ones(2, 4)
CALLS: dict[str, dict[str, Any]] = {
    "embedding_concat_linear": {"tokens": TOKENS, "embedding_weight": TABLE, "linear_weight": WEIGHT},
    "embedding_concat_linear_backward": {
        "grad_output": torch.ones(3, 4),
        "tokens": TOKENS,
        "embedding_weight": TABLE,
        "linear_weight": WEIGHT,
        "output": torch.ones(3, 4),
        "activation": "tanh",
        "output_mask": [True] * 3,
    },
    "batch_norm_backward": {
        "grad_output": X,
        "x": X,
        "output": X,
        "weight": None,
        "mean": OF_A_CHANNEL,
        "invstd": OF_A_CHANNEL,
        "training": False,
        "activation": "tanh",
        "output_mask": [True] * 3,
    },
    "linear": {"x": X, "weight": LINEAR_WEIGHT},
    "linear_backward": {
        "grad_output": LINEAR_OUTPUT,
        "x": X,
        "weight": LINEAR_WEIGHT,
        "output_mask": [True] * 3,
    },
}


@pytest.mark.parametrize(
    ("name", "argument"),
    [(name, key) for name, call in CALLS.items() for key, value in call.items() if torch.is_tensor(value)],
)
def test_none_in_place_of_a_tensor(name: str, argument: str) -> None:
    op = getattr(torch.ops.namegen_ext, name)
    op(**CALLS[name])
    with pytest.raises(RuntimeError, match=argument):
        op(**(CALLS[name] | {argument: None}))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
@pytest.mark.parametrize("position", [0, 2, 5])
def test_first_token_beyond_the_table(position: int, dtype: torch.dtype) -> None:
    tokens = TOKENS.to(dtype).clone()
    tokens.view(-1)[position:] = 5
    with pytest.raises(IndexError, match=rf"tokens.*element {position} is 5.*0 <= token < 5"):
        embed(tokens=tokens)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (torch.int64, -1),
        (torch.int32, -1),
        (torch.int64, -(2**63)),
        (torch.int32, -(2**31)),
        (torch.int64, 2**32),  # 0, were it cut to 32 bits
        (torch.int64, 2**32 + 1),
        (torch.int64, 2**63 - 1),
        (torch.int32, 2**31 - 1),
        (torch.uint8, 255),
    ],
)
@pytest.mark.parametrize("grad", [True, False])
def test_tokens_out_of_range(dtype: torch.dtype, value: int, grad: bool) -> None:
    tokens = torch.tensor([[0, value]], dtype=dtype)
    with pytest.raises(IndexError, match=rf"tokens.*is {value}\b"):
        embed(tokens=tokens, embedding_weight=TABLE.clone().requires_grad_(grad))


def test_tokens_out_of_range_in_backward() -> None:
    # The raw backward operator is public too: it must not write outside the table.
    backward = torch.ops.namegen_ext.embedding_concat_linear_backward
    with pytest.raises(IndexError, match="tokens"):
        backward(torch.ones(1, 4), torch.tensor([[0, 7]]), TABLE, WEIGHT, None, "none", [True, True, True])


def test_a_token_without_any_symbol() -> None:
    with pytest.raises(IndexError, match="tokens"):
        embed(embedding_weight=torch.ones(0, 3))


@pytest.mark.parametrize(
    ("argument", "changed"),
    [
        ("tokens", {"tokens": TOKENS.float()}),
        ("tokens", {"tokens": TOKENS.bool()}),
        ("tokens", {"tokens": TOKENS.short()}),
        ("tokens", {"tokens": torch.tensor(1)}),
        ("tokens", {"tokens": TOKENS.to("meta")}),
        ("tokens", {"embedding_weight": TABLE.to("meta")}),
        ("linear_weight", {"tokens": TOKENS[:, :1]}),
        ("embedding_weight", {"embedding_weight": torch.ones(5)}),
        ("embedding_weight", {"embedding_weight": torch.ones(5, 3, 1)}),
        ("embedding_weight", {"embedding_weight": TABLE.long(), "linear_weight": WEIGHT.long()}),
        ("embedding_weight", {"embedding_weight": TABLE.cfloat(), "linear_weight": WEIGHT.cfloat()}),
        ("linear_weight", {"linear_weight": torch.ones(6)}),
        ("linear_weight", {"linear_weight": torch.ones(4, 5)}),
        ("linear_weight", {"linear_weight": WEIGHT.double()}),
        ("linear_weight", {"linear_weight": WEIGHT.to("meta")}),
        ("linear_bias", {"linear_bias": torch.ones(5)}),
        ("linear_bias", {"linear_bias": torch.ones(4, 1)}),
        ("linear_bias", {"linear_bias": torch.tensor(1.0)}),
        ("linear_bias", {"linear_bias": BIAS.bfloat16()}),
        ("linear_bias", {"linear_bias": BIAS.to("meta")}),
    ],
)
def test_arguments_that_do_not_fit(argument: str, changed: dict[str, torch.Tensor]) -> None:
    with pytest.raises(RuntimeError, match=rf"^{argument} must"):
        embed(**changed)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("activation", ["relu", "", "Tanh"])
def test_unknown_activation(activation: str, grad: bool) -> None:
    message = rf"activation.*'{re.escape(activation)}'"
    with pytest.raises(ValueError, match=message):
        embed(activation=activation, linear_bias=BIAS.clone().requires_grad_(grad))
    with pytest.raises(ValueError, match=message):
        norm(activation=activation, bias=torch.ones(3, requires_grad=grad))
    for reference in (
        lambda: ops.embedding_concat_linear_reference(TOKENS, TABLE, WEIGHT, BIAS, activation),
        lambda: ops.batch_norm_reference(
            torch.ones(4, 3), None, None, None, None, True, 0.1, 1e-5, activation
        ),
    ):
        with pytest.raises(ValueError, match=message):
            reference()


def test_backward_operator_checks_its_arguments() -> None:
    backward = torch.ops.namegen_ext.embedding_concat_linear_backward
    mask = [True, True, True]
    for argument, grad, output, activation in (
        ("grad_output", torch.ones(3, 5), None, "none"),
        ("grad_output", torch.ones(2, 4), None, "none"),
        ("grad_output", torch.ones(3, 4).double(), None, "none"),
        ("output", torch.ones(3, 4), None, "tanh"),
        ("output", torch.ones(3, 4), torch.ones(2, 4), "tanh"),
        ("output", torch.ones(3, 4), torch.ones(3, 4).half(), "tanh"),
    ):
        with pytest.raises(RuntimeError, match=rf"^{argument} must"):
            backward(grad, TOKENS, TABLE, WEIGHT, output, activation, mask)


# ---- batch_norm --------------------------------------------------------------------------------------------


def norm(**changed: Any) -> torch.Tensor:
    arguments: dict[str, Any] = {
        "x": torch.ones(4, 3),
        "running_mean": torch.zeros(3),
        "running_var": torch.ones(3),
        "weight": torch.ones(3),
        "bias": torch.zeros(3),
        "training": True,
        "momentum": 0.1,
        "eps": 1e-5,
    }
    return ops.batch_norm(**(arguments | changed))


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 3)])
@pytest.mark.parametrize("grad", [True, False])
def test_one_value_a_channel(shape: tuple[int, ...], grad: bool) -> None:
    mean = torch.zeros(3)
    with pytest.raises(ValueError, match=r"x must have more than one value per channel"):
        norm(x=torch.ones(shape, requires_grad=grad), running_mean=mean)
    assert torch.equal(mean, torch.zeros(3))
    assert norm(x=torch.ones(shape), training=False).shape == shape


@pytest.mark.parametrize("eps", [0.0, -1.0])
def test_eps_that_is_not_positive(eps: float) -> None:
    with pytest.raises(ValueError, match="eps"):
        ops.batch_norm_reference(torch.ones(4, 3), None, None, None, None, True, 0.1, eps)
    with pytest.raises(ValueError, match="eps"):
        norm(eps=eps)


BAD_CHANNELS = [
    torch.ones(2),
    torch.ones(3, 1),
    torch.tensor(1.0),
    torch.ones(3).double(),
    torch.ones(3).half(),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("argument", ["running_mean", "running_var", "weight", "bias"])
@pytest.mark.parametrize("value", [*BAD_CHANNELS, torch.ones(3).int(), torch.ones(3).to("meta")], ids=str)
def test_channels_that_do_not_fit(argument: str, value: torch.Tensor, training: bool) -> None:
    with pytest.raises(RuntimeError, match=rf"^{argument} must"):
        norm(**{argument: value, "training": training})


@pytest.mark.parametrize(
    "x", [torch.ones(3), torch.tensor(1.0), torch.ones(4, 3).int(), torch.ones(4, 3).cfloat()]
)
def test_inputs_that_do_not_fit(x: torch.Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"^x must"):
        norm(x=x)


@pytest.mark.parametrize("argument", ["running_mean", "running_var"])
def test_evaluation_without_statistics(argument: str) -> None:
    with pytest.raises(RuntimeError, match=rf"^{argument} must be given in evaluation"):
        norm(**{argument: None, "training": False})


def test_why_not_supported() -> None:
    assert ops.why_not_supported("batch_norm", torch.device("cpu")) is None
    reason = ops.why_not_supported("embedding_concat_linear", torch.device("xla"))
    assert reason is not None
    assert "xla" in reason
    with pytest.raises(ValueError, match=r"op_name.*'softmax'"):
        ops.why_not_supported("softmax", torch.device("cpu"))
