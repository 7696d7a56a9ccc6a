"""torch.compile, torch.export and torch.fx on a fused model."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import namegen_ext
from namegen_ext.models import GPT, MLP, Bigram, WaveNet

# In evaluation the first is traced as the two that it is made of.
OPERATORS = {
    True: ["embedding_concat_linear_batch_norm", "linear"],
    False: ["embedding_concat_linear", "batch_norm", "linear"],
}
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of some 30 products of order one behind a batch norm


@pytest.mark.parametrize("training", [True, False])
def test_torch_compile_takes_the_whole_model_with_the_operators(model, stock, tokens, training):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # This version of torch says so of any model.
        warnings.filterwarnings("ignore", "Guards may run slower on Python 3.13.0")
        compiled = torch.compile(model.train(training), backend=backend, fullgraph=True)
        actual = compiled(tokens)
    torch.testing.assert_close(actual, stock.train(training)(tokens), **ROUNDING)
    (graph,) = graphs
    names = [str(node.target) for node in graph.graph.nodes if "namegen_ext" in str(node.target)]
    assert [name.split(".")[1] for name in names] == OPERATORS[training]
    assert torch.equal(model[3].num_batches_tracked, stock[3].num_batches_tracked)
    # Other models of other shapes come and go: the compiled one stays valid.
    other = nn.Sequential(nn.Tanh(), nn.BatchNorm1d(3), nn.Sigmoid())
    namegen_ext.fuse(other)
    other(torch.randn(4, 3))
    compiled(tokens)
    assert len(graphs) == 1
    torch._dynamo.reset()


def test_torch_compile_sees_a_hook_that_comes_later(model, tokens):
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager")
    compiled(tokens)
    fired = []
    model[4].register_forward_hook(lambda *_: fired.append(1))
    torch._dynamo.reset()  # torch.compile does not notice new hooks, not even those of stock modules
    compiled(tokens)
    assert fired == [1]
    torch._dynamo.reset()


def test_torch_export_works(model, tokens):
    exported = torch.export.export(model.eval(), (tokens,))
    assert torch.equal(exported.module()(tokens), model(tokens))
    assert "namegen_ext" in str(exported.graph)


def test_torch_export_takes_any_batch(model, stock, tokens):
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(model.eval(), (tokens,), dynamic_shapes=({0: batch},))
    stock.eval()
    for rows in (1, 2, 7, 8, 9, 100):
        some = tokens[:1].expand(rows, -1)
        torch.testing.assert_close(exported.module()(some), stock(some), **ROUNDING)
    assert "namegen_ext.linear" in str(exported.graph)


def test_fx_traces_the_stock_layers(model, stock, tokens):
    traced = torch.fx.symbolic_trace(model.eval())
    assert torch.equal(traced(tokens), stock.eval()(tokens))


def test_inference_mode(model, stock, tokens):
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(tokens), stock.eval()(tokens), **ROUNDING)
        model.train()(tokens)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", ["bigram", "mlp", "wavenet", "gpt"])
def test_jit_trace_takes_whole_models(name: str, fused: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    net: nn.Module = {
        "bigram": lambda: Bigram(9, generator=generator),
        "mlp": lambda: MLP(9, 3, 4, 10, generator=generator),
        "wavenet": lambda: WaveNet(9, 4, 4, 10, (2, 2), generator=generator),
        "gpt": lambda: GPT(9, 4, 8, 1, 2, generator=generator),
    }[name]()
    net.eval()
    if fused:
        namegen_ext.fuse(net)
    first, other = (torch.randint(9, (rows, net.block_size), generator=generator) for rows in (12, 30))
    traced = torch.jit.trace(net, first)
    torch.testing.assert_close(traced(other), net(other)[0], **ROUNDING)


@pytest.mark.parametrize("training", [False, True])
def test_jit_script_takes_the_stock_layers(model, stock, tokens, training):
    scripted = torch.jit.script(model.train(training))
    assert scripted.training is training
    torch.testing.assert_close(scripted(tokens), stock.train(training)(tokens), **ROUNDING)
    assert type(model) is not nn.Sequential, "the model itself stays fused"


@pytest.mark.parametrize("dynamo", [True, False])
def test_onnx_takes_the_stock_layers(model, tokens, dynamo, tmp_path):
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs it")
    model.eval()
    expected = model(tokens)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (tokens,), tmp_path / "model.onnx", dynamo=dynamo)
    onnx = pytest.importorskip("onnx.reference")
    session = onnx.ReferenceEvaluator(str(tmp_path / "model.onnx"))
    (found,) = session.run(None, {session.input_names[0]: tokens.numpy()})
    torch.testing.assert_close(torch.tensor(found), expected, **ROUNDING)
