"""A FusedSequential is an nn.Sequential, and honours on each call what its children have become."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import namegen_ext
from namegen_ext.fusion import FusedSequential

OPERATORS = ["embedding_concat_linear_batch_norm", "linear"]
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of some 30 products of order one behind a batch norm


def test_containers_operations_go_on_working(model, tokens, fused_calls):
    assert len(model) == 6
    assert model[2].out_features == 24
    assert [name for name, _ in model.named_children()] == list("012345")
    hidden = model[:5]
    assert isinstance(hidden, FusedSequential)
    assert hidden[0] is model[0]
    assert fused_calls(hidden, tokens) == ["embedding_concat_linear_batch_norm"]
    model.append(nn.Tanh())
    model.insert(5, nn.Dropout(0.0))
    model.extend([nn.BatchNorm1d(27), nn.Tanh()])
    assert len(model) == 10
    assert fused_calls(model, tokens) == [*OPERATORS, "batch_norm"]
    del model[3]
    assert fused_calls(model, tokens) == ["embedding_concat_linear", "linear", "batch_norm"]
    joined = model + nn.Sequential(nn.Identity())
    assert len(joined) == 10
    assert joined(tokens).shape == (32, 27)


def test_replaced_children_are_honoured(model, stock, tokens, fused_calls):
    for net in (model, stock):
        net.eval()[4] = nn.ReLU()
    torch.testing.assert_close(model(tokens), stock(tokens), **ROUNDING)
    assert model[:5](tokens).max() > 1  # no tanh
    assert fused_calls(model, tokens) == OPERATORS  # the batch norm runs alone
    model[0] = nn.Embedding(27, 10, padding_idx=0)
    assert fused_calls(model, tokens) == ["linear", "batch_norm", "linear"]
    model._modules["3"] = nn.LayerNorm(24)
    assert fused_calls(model, tokens) == ["linear", "linear"]


def test_replaced_weights_are_honoured(model, tokens):
    model.eval()
    before = model(tokens)
    with torch.no_grad():
        model[2].weight = nn.Parameter(torch.zeros(24, 30))
        model[2].bias = None
    hidden = model[:3](tokens)
    assert torch.equal(hidden, torch.zeros(32, 24))
    assert not torch.equal(model(tokens), before)


def test_an_empty_container_returns_its_input():
    empty = nn.Sequential()
    namegen_ext.fuse(empty)
    x = torch.ones(3)
    assert empty(x) is x


def test_inputs_that_are_no_tensor_reach_the_children():
    class Second(nn.Module):
        def forward(self, pair):
            return pair[1]

    model = nn.Sequential(Second(), nn.BatchNorm1d(4), nn.Tanh())
    namegen_ext.fuse(model)
    assert model((None, torch.randn(8, 4))).shape == (8, 4)
    with pytest.raises((TypeError, AttributeError)):
        model[1:]((1, 2))


REGISTER = {
    "forward": lambda m, note: m.register_forward_hook(lambda *_: note()),
    "forward with kwargs": lambda m, note: m.register_forward_hook(lambda *_: note(), with_kwargs=True),
    "always called": lambda m, note: m.register_forward_hook(lambda *_: note(), always_call=True),
    "forward pre": lambda m, note: m.register_forward_pre_hook(lambda *_: note()),
    "backward": lambda m, note: m.register_full_backward_hook(lambda *_: note()),
    "backward pre": lambda m, note: m.register_full_backward_pre_hook(lambda *_: note()),
}


@pytest.mark.filterwarnings(
    "ignore:Full backward hook is firing"
)  # on the first child: tokens need no gradient
@pytest.mark.parametrize("kind", REGISTER)
@pytest.mark.parametrize("child", range(5))
def test_hooks_registered_after_fusing_fire(model, tokens, fused_calls, kind, child):
    fired = []
    handle = REGISTER[kind](model[child], lambda: fired.append(kind))
    model(tokens).sum().backward()
    assert fired == [kind]
    handle.remove()
    model(tokens).sum().backward()
    assert fired == [kind]
    assert fused_calls(model, tokens) == OPERATORS


def test_a_forward_hook_can_change_the_result(model, stock, tokens):
    for net in (model, stock):
        net[4].register_forward_hook(lambda module, inputs, output: output * 0)
    assert torch.equal(model(tokens)[0], model[5].bias)
    torch.testing.assert_close(model(tokens), stock(tokens), **ROUNDING)


def test_hooks_in_a_dict_set_anew_fire(model, tokens):
    fired = []
    model[3]._forward_hooks = type(model[3]._forward_hooks)()
    model[3].register_forward_hook(lambda *_: fired.append(1))
    model(tokens)
    assert fired == [1]


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # tokens need no gradient
def test_hooks_on_the_container_fire_and_leave_it_fused(model, tokens, fused_calls):
    fired = []
    model.register_forward_hook(lambda *_: fired.append("forward"))
    model.register_full_backward_hook(lambda *_: fired.append("backward"))
    assert fused_calls(model, tokens) == OPERATORS
    model(tokens).sum().backward()
    assert fired == ["forward", "forward", "backward"]


def test_hooks_for_all_modules_fire_for_each_child(model, tokens, fused_calls):
    seen = []
    handle = nn.modules.module.register_module_forward_pre_hook(lambda module, _: seen.append(type(module)))
    try:
        assert fused_calls(model, tokens) == []
    finally:
        handle.remove()
    assert seen == [FusedSequential, nn.Embedding, nn.Flatten, nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Linear]
    assert fused_calls(model, tokens) == OPERATORS


def test_a_forward_overridden_after_fusing_is_called(model, tokens):
    model[2].forward = lambda x: x.new_zeros(len(x), 24)
    assert torch.equal(model[:3](tokens), torch.zeros(32, 24))


@pytest.mark.parametrize(
    "change", [parametrizations.weight_norm, lambda m: prune.l1_unstructured(m, "weight", 0.5)]
)
def test_parametrised_and_pruned_layers_run_as_stock(model, tokens, fused_calls, change):
    change(model[2])
    assert fused_calls(model[:3], tokens) == []
    actual = model[:3](tokens)
    namegen_ext.unfuse(model)
    assert torch.equal(actual, model[:3](tokens))


def test_a_weight_kept_elsewhere_than_among_the_parameters_is_honoured(model, tokens, fused_calls):
    """As in the replicas that nn.DataParallel makes."""
    expected = model.eval()(tokens)
    for child in (model[2], model[3], model[5]):
        for name in ("weight", "bias"):
            value = child._parameters.pop(name).detach()
            child.__dict__[name] = value
    assert fused_calls(model, tokens) == []
    torch.testing.assert_close(model(tokens), expected, **ROUNDING)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_a_sparse_weight_runs_as_stock(model, stock, tokens, fused_calls):
    for net in (model, stock):
        net[2].weight = nn.Parameter(net[2].weight.detach().to_sparse_csr(), requires_grad=False)
    assert fused_calls(model[:3], tokens) == []
    assert torch.equal(model[:3](tokens), stock[:3](tokens))


def test_options_changed_after_fusing_are_honoured(model, tokens, fused_calls):
    for option, value, back in (("padding_idx", 0, None), ("max_norm", 1.0, None), ("sparse", True, False)):
        setattr(model[0], option, value)
        assert fused_calls(model, tokens) == ["linear", "batch_norm", "linear"], option
        setattr(model[0], option, back)
    assert fused_calls(model, tokens) == OPERATORS
    model[3].momentum = 1.0
    model(tokens)
    hidden = model[:3](tokens)
    # float32 mean of 32 values of order one
    torch.testing.assert_close(model[3].running_mean, hidden.mean(0), rtol=1e-5, atol=1e-6)
    model[3].track_running_stats = False
    before = model[3].running_mean.clone(), model[3].num_batches_tracked.clone()
    model(tokens.flip(1))
    assert torch.equal(model[3].running_mean, before[0])
    assert torch.equal(model[3].num_batches_tracked, before[1])


def test_a_layer_whose_class_changes_is_honoured(model, tokens):
    class Zero(nn.Tanh):
        def forward(self, x):
            return x * 0

    model[4].__class__ = Zero
    assert torch.equal(model[:5](tokens), torch.zeros(32, 24))
