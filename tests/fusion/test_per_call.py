"""What depends on the modes and tensors of one call: fused where the operators cover it, else as stock."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

import namegen_ext

OPERATORS = ["embedding_concat_linear_batch_norm", "linear"]
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of some 30 products of order one behind a batch norm


def test_a_child_can_be_in_another_mode_than_the_container(model, stock, tokens):
    for net in (model, stock):
        net.train()
        net(tokens)
        net[3].eval()
    before = model[3].running_mean.clone()
    torch.testing.assert_close(model(tokens), stock(tokens), **ROUNDING)
    assert torch.equal(model[3].running_mean, before)
    assert model[3].num_batches_tracked.item() == 1


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 5, 3), (2, 3, 4, 3), (0, 3)])
@pytest.mark.parametrize(
    "flatten", [nn.Flatten(), nn.Flatten(-2), nn.Flatten(1, 2), nn.Flatten(2), nn.Flatten(1, 1)]
)
def test_every_shape_gives_what_stock_gives(shape, flatten):
    """With nn.Flatten(1), for one, (2, 5, 3) tokens join more than the last two dimensions."""
    torch.manual_seed(0)
    tokens = torch.randint(0, 7, shape)
    stock = nn.Sequential(nn.Embedding(7, 2), flatten, nn.Linear(6, 4), nn.Tanh()).double()
    fused = copy.deepcopy(stock)
    namegen_ext.fuse(fused)
    try:
        expected = stock(tokens)
    except (RuntimeError, IndexError) as error:
        with pytest.raises(type(error)):
            fused(tokens)
    else:
        # float64 sums of 6 products of order one
        torch.testing.assert_close(fused(tokens), expected, rtol=1e-13, atol=1e-13)


def test_a_single_token_runs_as_stock():
    stock = nn.Sequential(nn.Embedding(7, 2), nn.Flatten(-1), nn.Linear(2, 4))
    fused = copy.deepcopy(stock)
    namegen_ext.fuse(fused)
    assert torch.equal(fused(torch.tensor(3)), stock(torch.tensor(3)))


def test_wider_contexts_join_as_stock_joins_them(fused_calls):
    stock = nn.Sequential(nn.Embedding(7, 2), nn.Flatten(), nn.Linear(30, 4)).double()
    fused = copy.deepcopy(stock)
    namegen_ext.fuse(fused)
    tokens = torch.randint(0, 7, (2, 5, 3))
    assert torch.equal(fused(tokens), stock(tokens))
    assert fused_calls(fused, tokens) == []
    assert fused_calls(fused, tokens.flatten(1)) == ["embedding_concat_linear"]


@pytest.mark.parametrize(
    ("make_input", "error"),
    [
        (lambda: torch.randint(0, 27, (32, 3)).to(torch.uint8), RuntimeError),
        (lambda: torch.randint(0, 27, (32, 3)).float(), RuntimeError),
        (lambda: torch.full((32, 3), 27), IndexError),
        (lambda: torch.full((32, 3), -1), IndexError),
        (lambda: torch.zeros(32, 4, dtype=torch.int64), RuntimeError),
        (lambda: torch.zeros(1, 3, dtype=torch.int64), ValueError),  # one value per channel in training
    ],
)
def test_bad_input_ends_in_the_error_of_the_stock_model(model, stock, make_input, error):
    with pytest.raises(error):
        stock(make_input())
    with pytest.raises(error):
        model(make_input())


def test_the_batch_norm_error_reads_as_stock_and_changes_the_buffers_as_stock(model, stock):
    messages = []
    for net in (model, stock):
        with pytest.raises(ValueError, match="more than 1 value per channel") as caught:
            net[3:](torch.randn(1, 24))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert model[3].num_batches_tracked.item() == stock[3].num_batches_tracked.item()
    for net in (model, stock):
        with pytest.raises(ValueError, match=r"expected 2D or 3D input \(got 4D input\)"):
            net[3:](torch.randn(2, 24, 2, 2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_gives_the_dtypes_of_stock(model, stock, tokens, dtype):
    with torch.autocast("cpu", dtype=dtype):
        expected, actual = stock(tokens), model(tokens)
        for end in range(3, 7):
            assert model.eval()[:end](tokens).dtype == stock.eval()[:end](tokens).dtype, end
    assert actual.dtype == expected.dtype == dtype
    # Each of the five layers rounds values of order one to the low precision, elsewhere than stock does.
    torch.testing.assert_close(actual, expected, rtol=0, atol=5 * 4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("x", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("parameters", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("buffers", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("training", [True, False])
def test_mixed_dtypes_run_where_stock_runs_them(x, parameters, buffers, training):
    outcomes = []
    for fused in (False, True):
        model = nn.Sequential(nn.BatchNorm1d(4), nn.Tanh()).train(training)
        model[0].to(parameters)
        model[0].running_mean = model[0].running_mean.to(buffers)
        model[0].running_var = model[0].running_var.to(buffers)
        if fused:
            namegen_ext.fuse(model)
        try:
            outcomes.append(model(torch.ones(3, 4, dtype=x).cumsum(0)).dtype)
        except RuntimeError:
            outcomes.append("error")
    # Stock refuses parameters of low precision with float32 buffers, or the reverse; the operator runs them.
    refused_mixture = outcomes[0] == "error" and parameters != buffers and x in (parameters, buffers)
    assert outcomes[1] == outcomes[0] or refused_mixture


def test_a_device_without_kernels_runs_as_stock(make_mlp, monkeypatch, fused_calls):
    model = make_mlp(device="meta")
    namegen_ext.fuse(model)
    assert fused_calls(model, torch.zeros(8, 3, dtype=torch.int64, device="meta")) == [
        "embedding_concat_linear",
        "batch_norm",
        "linear",
    ]
    for name in (
        "namegen_ext.nn.conditions.why_not_supported",
        "namegen_ext.fusion.patterns.why_not_supported",
    ):
        monkeypatch.setattr(name, lambda operator, device: f"no {operator} here")
    assert fused_calls(model, torch.zeros(8, 3, dtype=torch.int64, device="meta")) == []


class Wrapped(torch.Tensor):
    """A tensor of the user's own class."""


@pytest.mark.parametrize(
    ("child", "runs"),
    [(0, ["batch_norm", "linear"]), (2, ["batch_norm", "linear"]), (3, ["embedding_concat_linear"])],
)
def test_weights_of_a_tensor_subclass_run_as_stock(model, tokens, fused_calls, child, runs):
    model[child].weight = nn.Parameter(model[child].weight.detach().as_subclass(Wrapped))
    assert type(model[child].weight) is Wrapped
    assert fused_calls(model[:3], tokens) + fused_calls(model[3:], torch.randn(8, 24)) == runs
    assert isinstance(model(tokens), Wrapped)


def test_inputs_of_a_tensor_subclass_run_as_stock(model, tokens, fused_calls):
    wrapped = tokens.as_subclass(Wrapped)
    assert fused_calls(model[:3], wrapped) == []
    assert isinstance(model[:3](wrapped), Wrapped)
    assert fused_calls(model[3:5], torch.randn(8, 24).as_subclass(Wrapped)) == []


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
def test_a_dtype_without_kernels_runs_as_stock(model, stock, tokens, fused_calls):
    for net in (model, stock):
        net[:3].to(torch.complex64)
    with torch.no_grad():  # nn.Embedding itself has no complex gradient
        assert fused_calls(model[:3], tokens) == []
        assert torch.equal(model[:3](tokens), stock[:3](tokens))


@pytest.mark.parametrize("missing", ["running_mean", "running_var"])
@pytest.mark.parametrize("training", [True, False])
def test_one_missing_running_statistic_ends_as_in_stock(model, stock, missing, training):
    outcomes = []
    for net in (model, stock):
        setattr(net.train(training)[3], missing, None)
        try:
            outcomes.append(net[3:](torch.ones(3, 24).cumsum(0)).detach())
        except (RuntimeError, ValueError) as error:
            outcomes.append(torch.tensor(list(str(error).encode())))
    torch.testing.assert_close(outcomes[0], outcomes[1], **ROUNDING)


def test_function_transforms_run_as_stock(model, stock, tokens):
    """vmap, torch.func.grad and forward-mode derivatives, which the operators have no rule for."""
    model.eval()
    stock.eval()
    parameters = dict(model.named_parameters())
    buffers = dict(model.named_buffers())

    def loss(net, values, contexts):
        return torch.func.functional_call(net, (values, buffers), (contexts,)).square().sum()

    actual = torch.func.grad(lambda values: loss(model, values, tokens))(parameters)
    expected = torch.func.grad(lambda values: loss(stock, values, tokens))(parameters)
    for key in expected:
        assert torch.equal(actual[key], expected[key]), key

    per_sample = torch.func.vmap(torch.func.grad(lambda v, row: loss(model, v, row[None])), in_dims=(None, 0))
    assert per_sample(parameters, tokens)["0.weight"].shape == (32, 27, 10)

    derivatives = []
    with forward_ad.dual_level():
        for net in (model, stock):
            dual = forward_ad.make_dual(net[0].weight.detach(), torch.ones(27, 10))
            output = torch.func.functional_call(net, {"0.weight": dual}, (tokens,))
            derivatives.append(forward_ad.unpack_dual(output).tangent)
    assert torch.equal(derivatives[0], derivatives[1])


def test_functional_call_runs_fused(model, tokens, fused_calls):
    zeros = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    recorded = fused_calls(nn.Sequential(model), tokens)
    assert recorded == OPERATORS
    output = torch.func.functional_call(model, zeros, (tokens,))
    assert torch.equal(output, torch.zeros(32, 27))


def test_double_backward_agrees_with_stock(model, stock, tokens):
    gradients = []
    for net in (model.double(), stock.double()):
        (first,) = torch.autograd.grad(net(tokens).square().sum(), net[0].weight, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), net[2].weight)
        gradients.append(second)
    scale = gradients[1].abs().max()
    # float64; three nested derivatives of a batch norm (up to 316 each) of sums of some 1000 products:
    # 1e3 * 316^3 * 2.2e-16 < 1e-5
    assert (gradients[0] - gradients[1]).abs().max() <= 1e-5 * scale
