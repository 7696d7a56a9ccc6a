"""FusedEmbeddingConcatLinear against nn.Embedding, nn.Flatten, nn.Linear and nn.Tanh in a row."""

from __future__ import annotations

import copy

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from namegen_ext.nn import FusedEmbeddingConcatLinear


class Wrapped(torch.Tensor):
    """A tensor of the user's own class."""


def make_stock(vocab, dim, block, out, bias=True, activation="tanh", **kwargs):
    layers = [
        nn.Embedding(vocab, dim, **kwargs),
        nn.Flatten(-2),
        nn.Linear(block * dim, out, bias=bias, **kwargs),
    ]
    return nn.Sequential(*layers, *([nn.Tanh()] if activation == "tanh" else []))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_starts_with_the_bits_of_the_stock_layers(bias, dtype):
    torch.manual_seed(5)
    stock = make_stock(27, 10, 3, 20, bias, dtype=dtype)
    after_stock = torch.rand(1)
    torch.manual_seed(5)
    fused = FusedEmbeddingConcatLinear(27, 10, 3, 20, bias=bias, dtype=dtype)
    assert torch.equal(torch.rand(1), after_stock)  # as many draws
    assert torch.equal(fused.embedding_weight, stock[0].weight)
    assert torch.equal(fused.linear_weight, stock[2].weight)
    if bias:
        assert torch.equal(fused.linear_bias, stock[2].bias)
    else:
        assert fused.linear_bias is None
    torch.manual_seed(5)
    fused.reset_parameters()
    assert torch.equal(fused.linear_weight, stock[2].weight)


@settings(max_examples=60, deadline=None)
@given(
    vocab=st.integers(1, 9),
    dim=st.integers(1, 5),
    block=st.integers(1, 6),
    out=st.integers(1, 9),
    leading=st.lists(st.integers(0, 4), max_size=3),
    bias=st.booleans(),
    activation=st.sampled_from(["none", "tanh"]),
    tokens_dtype=st.sampled_from([torch.int64, torch.int32]),
)
def test_agrees_with_the_stock_layers(vocab, dim, block, out, leading, bias, activation, tokens_dtype):
    torch.manual_seed(1)
    stock = make_stock(vocab, dim, block, out, bias, activation, dtype=torch.float64)
    torch.manual_seed(1)
    fused = FusedEmbeddingConcatLinear(vocab, dim, block, out, bias, activation, dtype=torch.float64)
    tokens = torch.randint(0, vocab, (*leading, block)).to(tokens_dtype)
    expected, actual = stock(tokens), fused(tokens)
    # float64: sums of at most 6 * 5 forward and 64 * 30 backward terms of order one, times eps = 2.2e-16
    tolerance = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(actual, expected, **tolerance)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (actual * weights).sum().backward()
    torch.testing.assert_close(fused.embedding_weight.grad, stock[0].weight.grad, **tolerance)
    torch.testing.assert_close(fused.linear_weight.grad, stock[2].weight.grad, **tolerance)
    if bias:
        torch.testing.assert_close(fused.linear_bias.grad, stock[2].bias.grad, **tolerance)


def test_runs_the_operator(fused_calls):
    module = FusedEmbeddingConcatLinear(27, 10, 3, 20)
    assert fused_calls(module, torch.zeros(4, 3, dtype=torch.int64)) == ["embedding_concat_linear"]


def test_parameters_state_and_representation():
    module = FusedEmbeddingConcatLinear(27, 10, 3, 20, bias=False, activation="none")
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
        "embedding_weight": (27, 10),
        "linear_weight": (20, 30),
    }
    assert repr(module) == (
        "FusedEmbeddingConcatLinear(27, 10, block_size=3, out_features=20, bias=False, activation='none')"
    )
    assert list(FusedEmbeddingConcatLinear(2, 2, 2, 2).state_dict()) == [
        "embedding_weight",
        "linear_weight",
        "linear_bias",
    ]


def test_saves_loads_and_copies(tmp_path):
    first, second = FusedEmbeddingConcatLinear(5, 2, 3, 4), FusedEmbeddingConcatLinear(5, 2, 3, 4)
    tokens = torch.randint(0, 5, (6, 3))
    assert not torch.equal(first(tokens), second(tokens))
    safetensors.torch.save_file(first.state_dict(), tmp_path / "layer.safetensors")
    second.load_state_dict(safetensors.torch.load_file(tmp_path / "layer.safetensors"))
    assert torch.equal(first(tokens), second(tokens))
    assert torch.equal(copy.deepcopy(first)(tokens), first(tokens))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_moves_to_another_dtype(dtype):
    module = FusedEmbeddingConcatLinear(5, 2, 3, 4).to(dtype)
    assert module(torch.randint(0, 5, (6, 3))).dtype == dtype


def test_uint8_tokens():
    module = FusedEmbeddingConcatLinear(5, 2, 3, 4)
    tokens = torch.randint(0, 5, (6, 3))
    assert torch.equal(module(tokens.to(torch.uint8)), module(tokens))


@pytest.mark.parametrize("argument", ["num_embeddings", "embedding_dim", "block_size", "out_features"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, None])
def test_bad_sizes_are_named(argument, value):
    arguments = {"num_embeddings": 5, "embedding_dim": 2, "block_size": 3, "out_features": 4, argument: value}
    with pytest.raises(ValueError, match=f"{argument} must be a positive integer, but got {value!r}"):
        FusedEmbeddingConcatLinear(**arguments)


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="activation must be one of none, tanh, but got 'relu'"):
        FusedEmbeddingConcatLinear(5, 2, 3, 4, activation="relu")


@pytest.mark.parametrize("token", [-1, 5])
def test_tokens_out_of_range(token):
    with pytest.raises(IndexError):
        FusedEmbeddingConcatLinear(5, 2, 3, 4)(torch.full((6, 3), token))


def test_a_wrong_block_size_is_refused():
    with pytest.raises(RuntimeError):
        FusedEmbeddingConcatLinear(5, 2, 3, 4)(torch.zeros(6, 4, dtype=torch.int64))


def test_a_device_without_kernels_runs_in_stock_pytorch(monkeypatch, fused_calls):
    module = FusedEmbeddingConcatLinear(5, 2, 3, 4, device="meta")
    tokens = torch.zeros(6, 3, dtype=torch.int64, device="meta")
    assert fused_calls(module, tokens) == ["embedding_concat_linear"]
    monkeypatch.setattr("namegen_ext.nn.conditions.why_not_supported", lambda operator, device: "no kernels")
    assert fused_calls(module, tokens) == []
    assert module(tokens).shape == (6, 4)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("change", [torch.Tensor.to_sparse_csr, lambda w: w.as_subclass(Wrapped)])
def test_a_weight_that_is_no_plain_tensor_runs_in_stock_pytorch(change, fused_calls):
    module = FusedEmbeddingConcatLinear(5, 2, 3, 4)
    tokens = torch.randint(0, 5, (6, 3))
    expected = module(tokens)
    module.linear_weight = nn.Parameter(change(module.linear_weight.detach()), requires_grad=False)
    assert fused_calls(module, tokens) == []
    # float32 sums of 6 products of order one
    torch.testing.assert_close(module(tokens).as_subclass(torch.Tensor), expected, rtol=1e-5, atol=1e-6)


def test_function_transforms_run_in_stock_pytorch():
    module = FusedEmbeddingConcatLinear(5, 2, 3, 4).double()
    stock = make_stock(5, 2, 3, 4, dtype=torch.float64)
    stock.load_state_dict(dict(zip(stock.state_dict(), module.state_dict().values(), strict=True)))
    tokens = torch.randint(0, 5, (6, 3))
    parameters = dict(module.named_parameters())
    per_sample = torch.func.vmap(
        torch.func.grad(lambda p, row: torch.func.functional_call(module, p, (row,)).sum()), in_dims=(None, 0)
    )(parameters, tokens)
    stock(tokens).sum().backward()
    # float64 sums of 6 terms of order one
    torch.testing.assert_close(
        per_sample["embedding_weight"].sum(0), stock[0].weight.grad, rtol=1e-13, atol=1e-13
    )
    torch.testing.assert_close(per_sample["linear_bias"].sum(0), stock[2].bias.grad, rtol=1e-13, atol=1e-13)


def test_compiles_whole():
    module = FusedEmbeddingConcatLinear(5, 2, 3, 4)
    tokens = torch.randint(0, 5, (6, 3))
    graphs = []
    torch._dynamo.reset()
    compiled = torch.compile(
        module, backend=lambda graph, _: graphs.append(graph) or graph.forward, fullgraph=True
    )
    assert torch.equal(compiled(tokens), module(tokens))
    assert "namegen_ext.embedding_concat_linear" in str(graphs[0].graph)
    torch._dynamo.reset()


def test_starts_on_the_meta_device_without_drawing():
    state = torch.get_rng_state()
    module = FusedEmbeddingConcatLinear(5, 2, 3, 4, device="meta")
    assert module.embedding_weight.is_meta
    assert torch.equal(torch.get_rng_state(), state)
