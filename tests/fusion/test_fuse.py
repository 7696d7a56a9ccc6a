"""fuse and unfuse change how a model runs, and nothing else of it."""

from __future__ import annotations

import copy
import io

import pytest
import safetensors.torch
import torch
from torch import nn

import namegen_ext
from namegen_ext.fusion import FusedSequential

OPERATORS = ["embedding_concat_linear_batch_norm", "linear"]


def snapshot(model):
    """All of a model that fusing must leave alone, tensors by identity and by value."""
    return {
        "state": {key: (id(value), value.clone()) for key, value in model.state_dict(keep_vars=True).items()},
        "metadata": dict(model.state_dict()._metadata),
        "modules": [
            (name, id(module), module.training, dict(module._modules))
            for name, module in model.named_modules()
        ],
        "hooks": [list(module._forward_hooks.items()) for module in model.modules()],
        "flags": [(p.requires_grad, p.dtype, p.device) for p in model.parameters()],
        "attributes": [sorted(module.__dict__) for module in model.modules()],
    }


def assert_same_snapshot(before, after):
    assert before.keys() == after.keys()
    for part in before:
        if part != "state":
            assert before[part] == after[part], part
    assert list(before["state"]) == list(after["state"])
    for key, (identity, value) in before["state"].items():
        assert after["state"][key][0] == identity, f"{key} is another object"
        assert torch.equal(after["state"][key][1], value), key


@pytest.mark.parametrize("training", [True, False])
def test_fuse_and_unfuse_change_no_state(make_mlp, training):
    model = make_mlp().train(training)
    model[5].weight.requires_grad_(False)
    model[5].register_forward_hook(lambda *_: None)
    before = snapshot(model)
    namegen_ext.fuse(model)
    assert_same_snapshot(before, snapshot(model))
    assert isinstance(model, nn.Sequential)
    namegen_ext.unfuse(model)
    assert_same_snapshot(before, snapshot(model))
    assert type(model) is nn.Sequential


def test_fuse_is_in_place_and_runs_the_operators(make_mlp, tokens, fused_calls):
    model = make_mlp()
    assert fused_calls(model, tokens) == []
    report = namegen_ext.fuse(model)
    assert [site.kind for site in report.fused] == OPERATORS
    assert fused_calls(model, tokens) == OPERATORS


def test_fusing_twice_is_fusing_once(make_mlp, tokens, fused_calls):
    model = make_mlp()
    first = namegen_ext.fuse(model)
    second = namegen_ext.fuse(model)
    assert first == second
    assert fused_calls(model, tokens) == OPERATORS
    namegen_ext.unfuse(model)
    assert type(model) is nn.Sequential
    assert fused_calls(model, tokens) == []


def test_unfused_model_gives_the_stock_bits(make_mlp, tokens, fused_calls):
    stock, model = make_mlp(), make_mlp()
    namegen_ext.fuse(model)
    namegen_ext.unfuse(model)
    namegen_ext.unfuse(model)  # an unfused model stays as it is
    for _ in range(3):
        expected, actual = stock(tokens), model(tokens)
        assert torch.equal(actual, expected)
        expected.square().sum().backward()
        actual.square().sum().backward()
    for (key, expected_parameter), parameter in zip(
        stock.named_parameters(), model.parameters(), strict=True
    ):
        assert torch.equal(parameter.grad, expected_parameter.grad), key
    for key, value in stock.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_an_optimizer_made_before_fusing_trains_the_fused_model(make_mlp, tokens):
    """200 steps of SGD, stock against fused, the losses step by step."""
    stock, model = make_mlp(), make_mlp()
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (stock, model)]
    namegen_ext.fuse(model)
    generator = torch.Generator().manual_seed(3)
    for step in range(200):
        batch = torch.randint(0, 27, (32, 3), generator=generator)
        targets = batch.sum(dim=1) % 27
        losses = []
        for net, optimizer in zip((stock, model), optimizers, strict=True):
            loss = nn.functional.cross_entropy(net(batch), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        # Rounding (1e-7 relative a step in float32) grows along a training run; the project promises 1e-4.
        assert losses[1] == pytest.approx(losses[0], abs=1e-4), f"step {step}"
    for (key, expected), actual in zip(stock.state_dict().items(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-3, msg=key)
    assert model[3].num_batches_tracked.item() == 200


@pytest.mark.parametrize("fused_first", [True, False])
def test_checkpoints_move_between_stock_and_fused(make_mlp, tokens, tmp_path, fused_first):
    source, target = make_mlp(seed=1), make_mlp(seed=2)
    namegen_ext.fuse(source if fused_first else target)
    source(tokens)  # moves the running statistics and num_batches_tracked
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(source.state_dict(), path)
    missing = target.load_state_dict(safetensors.torch.load_file(path), strict=True)
    assert not missing.missing_keys
    assert not missing.unexpected_keys
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key
    # Both run in stock form now: the same bits.
    namegen_ext.unfuse(source)
    namegen_ext.unfuse(target)
    assert torch.equal(source.eval()(tokens), target.eval()(tokens))


def test_deepcopy_and_pickle_keep_the_model_fused(make_mlp, tokens, fused_calls):
    model = make_mlp()
    namegen_ext.fuse(model)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(model), torch.load(buffer, weights_only=False)):
        assert type(other) is FusedSequential
        assert other[0].weight is not model[0].weight
        assert torch.equal(other.eval()(tokens), copy.deepcopy(model).eval()(tokens))
        assert fused_calls(other, tokens) == OPERATORS


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_fused_model_can_change_its_dtype(make_mlp, tokens, fused_calls, dtype):
    model, stock = make_mlp(), make_mlp().to(dtype)
    namegen_ext.fuse(model)
    model.to(dtype)
    # Two operators have kernels for float32 and float64 only.
    low = ["embedding_concat_linear", "batch_norm"]
    assert fused_calls(model.eval(), tokens) == (OPERATORS if dtype == torch.float64 else low)
    expected, actual = stock.eval()(tokens), model(tokens)
    assert actual.dtype == dtype
    # Low precision is judged against PyTorch's own error, from the float64 results.
    exact = make_mlp().to(dtype).double().eval()(tokens)
    error = (expected.double() - exact).abs().max()
    floor = (
        4 * torch.finfo(dtype).eps * exact.abs().max()
    )  # two roundings each of results that agree otherwise
    assert (actual.double() - exact).abs().max() <= 2 * error + floor


def test_train_and_eval_go_on_working(make_mlp, tokens):
    model, stock = make_mlp(), make_mlp()
    namegen_ext.fuse(model)
    model(tokens)
    stock(tokens)
    assert not torch.equal(model[3].running_mean, torch.zeros(24))
    model.eval()
    stock.eval()
    before = model[3].running_mean.clone()
    # float32 rounding through 30 + 24 products of order one
    torch.testing.assert_close(model(tokens), stock(tokens), rtol=1e-5, atol=1e-5)
    assert torch.equal(model[3].running_mean, before)
    assert model[3].num_batches_tracked.item() == 1


def test_every_plain_sequential_is_fused_wherever_it_stands(make_mlp, tokens, fused_calls):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(make_mlp()[:3], nn.Sequential(nn.BatchNorm1d(24), nn.Tanh()))
            self.head = nn.Linear(24, 27)

        def forward(self, x):
            return self.head(self.body(x))

    model = Net()
    report = namegen_ext.fuse(model)
    assert [(site.name, site.kind) for site in report.fused] == [
        ("body.0.0..2", "embedding_concat_linear"),
        ("body.1.0..1", "batch_norm"),
    ]
    expected = ["embedding_concat_linear", "batch_norm"]  # in two containers; the head stands in none
    assert fused_calls(model, tokens) == expected
    namegen_ext.unfuse(model)
    assert all(type(module) is not FusedSequential for module in model.modules())


def test_a_subclass_of_sequential_is_left_alone_but_not_what_it_holds(make_mlp, tokens, fused_calls):
    class Doubled(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    model = Doubled(make_mlp()[:3], nn.BatchNorm1d(24), nn.Tanh())
    stock = copy.deepcopy(model)
    report = namegen_ext.fuse(model)
    assert type(model) is Doubled
    assert [site.name for site in report.fused] == ["0.0..2"]
    assert {site.name for site in report.skipped} == {"1", "2"}
    assert all("subclass of nn.Sequential" in site.reason for site in report.skipped)
    assert fused_calls(model, tokens) == ["embedding_concat_linear"]
    torch.testing.assert_close(model(tokens), stock(tokens), rtol=1e-5, atol=1e-5)  # float32 rounding


def test_shared_modules_and_tied_weights(make_mlp, tokens):
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(24)
    linear = nn.Linear(24, 24)

    def make():
        shared = copy.deepcopy(nn.ModuleList([norm, linear]))
        model = nn.Sequential(
            *make_mlp()[:3], shared[0], nn.Tanh(), shared[1], shared[0], nn.Tanh(), shared[1]
        )
        tied = nn.Sequential(nn.Embedding(24, 24), nn.Flatten(-2), nn.Linear(48, 24), nn.Tanh())
        tied[0].weight = model[5].weight  # one Parameter in two layers
        return nn.ModuleDict({"model": model, "tied": tied}).double()

    stock, fused = make(), make()
    namegen_ext.fuse(fused)
    assert fused["tied"][0].weight is fused["model"][5].weight
    results = []
    for net in (stock, fused):
        output = net["model"](tokens) + net["tied"](tokens[:, :2] % 24)
        output.square().sum().backward()
        results.append((output, {name: p.grad for name, p in net.named_parameters()}))
    # float64, sums of at most 48 products of order one behind two batch norms: far below 1e-9
    torch.testing.assert_close(results[1][0], results[0][0], rtol=1e-9, atol=1e-9)
    assert results[0][1].keys() == results[1][1].keys()
    for name, gradient in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], gradient, rtol=1e-9, atol=1e-9, msg=name)
    assert fused["model"][3].num_batches_tracked.item() == 2


def test_frozen_parameters_get_no_gradient(make_mlp, tokens):
    model = make_mlp()
    namegen_ext.fuse(model)
    model[0].weight.requires_grad_(False)
    model[3].bias.requires_grad_(False)
    model(tokens).sum().backward()
    assert model[0].weight.grad is None
    assert model[3].bias.grad is None
    assert model[2].weight.grad is not None


@pytest.mark.parametrize("function", [namegen_ext.fuse, namegen_ext.unfuse])
def test_what_is_no_module_is_refused(function):
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, but got list"):
        function([nn.Linear(1, 1)])
