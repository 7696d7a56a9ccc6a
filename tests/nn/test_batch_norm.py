"""FusedBatchNorm1d in the place of nn.BatchNorm1d, and with tanh in the place of both layers."""

from __future__ import annotations

import copy
import inspect
import re

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from namegen_ext.nn import FusedBatchNorm1d


def assert_same_state(actual, expected, tolerance):
    assert list(actual.state_dict()) == list(expected.state_dict())
    for key, value in expected.state_dict().items():
        assert actual.state_dict()[key].dtype == value.dtype
        torch.testing.assert_close(actual.state_dict()[key], value, **tolerance, msg=key)


@settings(max_examples=80, deadline=None)
@given(
    shape=st.one_of(
        st.tuples(st.integers(0, 9), st.integers(1, 6)),
        st.tuples(st.integers(0, 5), st.integers(1, 6), st.integers(1, 5)),
    ),
    affine=st.booleans(),
    track=st.booleans(),
    momentum=st.sampled_from([0.1, 0.0, 1.0, None]),
    activation=st.sampled_from(["none", "tanh"]),
    modes=st.lists(st.booleans(), min_size=1, max_size=4),
    layout=st.sampled_from(["contiguous", "strided", "transposed"]),
    seed=st.integers(0, 1000),
)
def test_agrees_with_the_stock_layer(shape, affine, track, momentum, activation, modes, layout, seed):
    """Results, gradients and buffers over several calls, errors included."""
    torch.manual_seed(seed)
    channels = shape[1]
    stock = nn.BatchNorm1d(channels, 1e-3, momentum, affine, track).double()
    fused = FusedBatchNorm1d(channels, 1e-3, momentum, affine, track, activation).double()
    if affine:
        for module in (stock, fused):
            nn.init.uniform_(module.weight, generator=torch.Generator().manual_seed(seed))
            nn.init.uniform_(module.bias, generator=torch.Generator().manual_seed(seed + 1))
    # 2.2e-16 times at most 25 values of order one a channel; a division by sqrt(1e-3) or more, cubed in
    # the gradient: 25 * 32^3 * 2.2e-16 < 1e-9 at the very worst, 1e-10 where the deviation is not tiny
    tolerance = {"rtol": 1e-10, "atol": 1e-10}
    for training in modes:
        stock.train(training)
        fused.train(training)
        x = torch.randn(shape, dtype=torch.float64)
        if layout == "strided":
            x = torch.stack([x, x], dim=-1)[..., 0]
        elif layout == "transposed":
            x = x.transpose(0, -1).contiguous().transpose(0, -1)
        inputs = [x.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2)]
        try:
            expected = stock(inputs[0])
        except ValueError as error:
            with pytest.raises(ValueError, match=f"^{re.escape(str(error))}$"):
                fused(inputs[1])
            assert_same_state(fused, stock, tolerance)
            continue
        expected = torch.tanh(expected) if activation == "tanh" else expected
        actual = fused(inputs[1])
        torch.testing.assert_close(actual, expected, **tolerance)
        assert actual.is_contiguous() == expected.is_contiguous()
        weights = torch.randn_like(expected)
        stock.zero_grad()
        fused.zero_grad()
        (expected * weights).sum().backward()
        (actual * weights).sum().backward()
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad, **tolerance)
        if affine:
            torch.testing.assert_close(fused.weight.grad, stock.weight.grad, **tolerance)
            torch.testing.assert_close(fused.bias.grad, stock.bias.grad, **tolerance)
        assert_same_state(fused, stock, tolerance)


def test_is_a_batch_norm_module():
    fused = FusedBatchNorm1d(4)
    assert isinstance(fused, nn.BatchNorm1d)
    assert repr(fused) == repr(nn.BatchNorm1d(4)).replace("BatchNorm1d", "FusedBatchNorm1d").replace(
        ")", ", activation='none')"
    )


def test_takes_the_arguments_of_the_stock_layer():
    stock = list(inspect.signature(nn.BatchNorm1d.__init__).parameters)
    ours = list(inspect.signature(FusedBatchNorm1d.__init__).parameters)
    assert (
        ours[:6] == stock[:6] == ["self", "num_features", "eps", "momentum", "affine", "track_running_stats"]
    )
    assert {"device", "dtype"} < set(ours)
    module = FusedBatchNorm1d(4, 1e-3, None, False, False, device="cpu", dtype=torch.float64)
    assert (module.eps, module.momentum, module.affine, module.track_running_stats) == (
        1e-3,
        None,
        False,
        False,
    )
    assert FusedBatchNorm1d(4, dtype=torch.float64).running_mean.dtype == torch.float64


@pytest.mark.skipif(
    "bias" not in inspect.signature(nn.BatchNorm1d.__init__).parameters,
    reason="this version of nn.BatchNorm1d has no bias argument",
)
@pytest.mark.parametrize("training", [True, False])
def test_without_a_bias(training):
    stock, fused = nn.BatchNorm1d(4, bias=False), FusedBatchNorm1d(4, bias=False)
    x = torch.randn(8, 4)
    assert fused.bias is None
    # float32 sums of 8 values of order one
    torch.testing.assert_close(fused.train(training)(x), stock.train(training)(x), rtol=1e-5, atol=1e-6)


def test_runs_the_operator_in_both_layouts(fused_calls):
    module = FusedBatchNorm1d(4, activation="tanh")
    assert fused_calls(module, torch.randn(8, 4)) == ["batch_norm"]
    assert fused_calls(module, torch.randn(8, 4, 5)) == ["batch_norm"]
    assert fused_calls(module.eval(), torch.randn(1, 4)) == ["batch_norm"]


@pytest.mark.parametrize("to_fused", [True, False])
def test_checkpoints_move_between_stock_and_fused(to_fused, tmp_path):
    source, target = nn.BatchNorm1d(4), FusedBatchNorm1d(4)
    if not to_fused:
        source, target = target, source
    source(torch.randn(8, 4))
    safetensors.torch.save_file(source.state_dict(), tmp_path / "layer.safetensors")
    target.load_state_dict(safetensors.torch.load_file(tmp_path / "layer.safetensors"))
    assert_same_state(target, source, {"rtol": 0, "atol": 0})
    assert target.num_batches_tracked.item() == 1


def test_loads_a_state_dict_from_before_num_batches_tracked():
    state = {
        key: value for key, value in nn.BatchNorm1d(4).state_dict().items() if key != "num_batches_tracked"
    }
    module = FusedBatchNorm1d(4)
    module.load_state_dict(state)
    assert module.num_batches_tracked.item() == 0


@pytest.mark.parametrize("shape", [(4,), (2, 4, 3, 3)])
def test_the_number_of_dimensions_is_checked_as_stock(shape):
    with pytest.raises(ValueError, match=rf"expected 2D or 3D input \(got {len(shape)}D input\)"):
        FusedBatchNorm1d(4)(torch.randn(shape))


def test_a_wrong_number_of_channels_is_refused():
    with pytest.raises(RuntimeError):
        nn.BatchNorm1d(4)(torch.randn(8, 5))
    with pytest.raises(RuntimeError):
        FusedBatchNorm1d(4)(torch.randn(8, 5))


@pytest.mark.parametrize("activation", ["relu", "Tanh", ""])
def test_an_unknown_activation_is_named(activation):
    with pytest.raises(ValueError, match=f"activation must be one of none, tanh, but got '{activation}'"):
        FusedBatchNorm1d(4, activation=activation)


def test_nan_and_infinity_spread_as_in_the_stock_layer():
    x = torch.randn(8, 4)
    x[0, 0], x[1, 1] = float("nan"), float("inf")
    for training in (True, False):
        stock, fused = nn.BatchNorm1d(4).train(training), FusedBatchNorm1d(4).train(training)
        expected, actual = stock(x), fused(x)
        assert torch.equal(actual.isnan(), expected.isnan())
        assert torch.equal(fused.running_mean.isnan(), stock.running_mean.isnan())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_input_with_float32_parameters(dtype):
    """What autocast gives a batch norm. Errors are measured from float64 and judged against PyTorch's own."""
    x = torch.randn(64, 4).to(dtype)
    exact = torch.tanh(nn.BatchNorm1d(4).double()(x.double()))
    stock = torch.tanh(nn.BatchNorm1d(4)(x))
    actual = FusedBatchNorm1d(4, activation="tanh")(x)
    assert actual.dtype == dtype
    error = (stock.double() - exact).abs().max()
    assert (actual.double() - exact).abs().max() <= 2 * error


def test_moves_and_copies():
    module = FusedBatchNorm1d(4, activation="tanh")
    module(torch.randn(8, 4))
    other = copy.deepcopy(module).double().eval()
    assert other.activation == "tanh"
    x = torch.randn(3, 4, dtype=torch.float64)
    # float64 on both sides: some ten roundings of values of order one
    expected = torch.tanh((x - other.running_mean) / (other.running_var + other.eps).sqrt())
    torch.testing.assert_close(other(x), expected, rtol=1e-13, atol=1e-13)


def test_a_device_without_kernels_runs_in_stock_pytorch(monkeypatch, fused_calls):
    module = FusedBatchNorm1d(4, activation="tanh", device="meta")
    x = torch.randn(8, 4, device="meta")
    assert fused_calls(module, x) == ["batch_norm"]
    monkeypatch.setattr("namegen_ext.nn.conditions.why_not_supported", lambda operator, device: "no kernels")
    assert fused_calls(module, x) == []
    assert module(x).shape == (8, 4)


def test_function_transforms_run_in_stock_pytorch():
    module = FusedBatchNorm1d(4, activation="tanh").double().eval()
    x = torch.randn(8, 4, dtype=torch.float64)
    jacobians = torch.func.vmap(torch.func.jacrev(lambda row: module(row[None])[0]))(x)
    y = module(x)
    # In evaluation each output depends on its own input alone: (1 - y^2) / sqrt(1 + eps).
    expected = torch.diag_embed((1 - y.square()) / (1 + module.eps) ** 0.5)
    torch.testing.assert_close(jacobians, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(8, 4), (8, 4, 3)])
def test_compiles_whole(training, shape):
    module = FusedBatchNorm1d(4, activation="tanh").train(training)
    other = copy.deepcopy(module)
    x = torch.randn(shape)
    graphs = []
    torch._dynamo.reset()
    compiled = torch.compile(
        module, backend=lambda graph, _: graphs.append(graph) or graph.forward, fullgraph=True
    )
    assert torch.equal(compiled(x), other(x))
    assert "namegen_ext.batch_norm" in str(graphs[0].graph)
    assert_same_state(module, other, {"rtol": 0, "atol": 0})
    torch._dynamo.reset()
