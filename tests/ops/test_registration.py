"""The registered operators: opcheck, fake kernels, torch.compile and torch.export."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import GraphModule

from namegen_ext import ops

LIBRARY = torch.ops.namegen_ext
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def tokens(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.randint(6, shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def embedding_arguments(dtype: torch.dtype = torch.float32, grad: bool = False, bias: bool = True) -> tuple:
    weights = [normal(6, 4, dtype=dtype), normal(5, 12, dtype=dtype, seed=2)]
    weights += [normal(5, dtype=dtype, seed=3)] if bias else []
    weights = [w.requires_grad_(grad) for w in weights]
    return (tokens(7, 3), *weights, *([] if bias else [None]))


def batch_norm_arguments(
    dtype: torch.dtype = torch.float32, grad: bool = False, affine: bool = True, running: bool = True
) -> tuple:
    x = normal(6, 2, 5, dtype=dtype).requires_grad_(grad)
    statistics = (torch.zeros(5, dtype=dtype), torch.ones(5, dtype=dtype)) if running else (None, None)
    parameters = (
        (normal(5, dtype=dtype, seed=4).requires_grad_(grad), torch.zeros(5, dtype=dtype))
        if affine
        else (None, None)
    )
    return (x, *statistics, *parameters)


# ---- opcheck: schema, autograd registration, fake kernels, AOT dispatch with static and dynamic shapes -----


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_opcheck_embedding_concat_linear(activation: str, grad: bool, bias: bool) -> None:
    arguments = embedding_arguments(grad=grad, bias=bias)
    torch.library.opcheck(LIBRARY.embedding_concat_linear.default, (*arguments, activation))


@pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 4, 3)])
@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_opcheck_embedding_concat_linear_tokens(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    arguments = (tokens(*shape, dtype=dtype), *embedding_arguments(grad=True)[1:])
    torch.library.opcheck(LIBRARY.embedding_concat_linear.default, arguments)


@pytest.mark.parametrize("mask", [(True, True, True), (True, False, True), (False, True, False)])
@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_opcheck_embedding_concat_linear_backward(activation: str, mask: tuple[bool, ...]) -> None:
    index, table, weight, _ = embedding_arguments()
    output = torch.tanh(normal(7, 5)) if activation == "tanh" else None
    arguments = (normal(7, 5, seed=5), index, table, weight, output, activation, list(mask))
    torch.library.opcheck(LIBRARY.embedding_concat_linear_backward.default, arguments)


@pytest.mark.parametrize(
    ("training", "affine", "running"),
    [(True, True, True), (True, False, True), (True, True, False), (False, True, True), (False, False, True)],
)
@pytest.mark.parametrize("grad", [True, False])
def test_opcheck_batch_norm(training: bool, grad: bool, affine: bool, running: bool) -> None:
    arguments = (
        *batch_norm_arguments(grad=grad, affine=affine, running=running),
        training,
        0.1,
        1e-5,
        "tanh",
    )
    torch.library.opcheck(LIBRARY.batch_norm.default, arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_opcheck_batch_norm_forward(training: bool, dtype: torch.dtype) -> None:
    torch.library.opcheck(
        LIBRARY.batch_norm_forward.default, (*batch_norm_arguments(dtype), training, 0.1, 1e-5, "none")
    )


@pytest.mark.parametrize("mask", [(True, True, True), (True, False, False), (False, True, True)])
@pytest.mark.parametrize(("affine", "training"), [(True, True), (False, True), (True, False)])
def test_opcheck_batch_norm_backward(training: bool, affine: bool, mask: tuple[bool, ...]) -> None:
    x, mean, var, weight, _ = batch_norm_arguments()
    arguments = (normal(6, 2, 5, seed=5), x, torch.tanh(x), weight if affine else None, mean, var)
    torch.library.opcheck(LIBRARY.batch_norm_backward.default, (*arguments, training, "tanh", list(mask)))


# ---- fake kernels agree with the real ones -----------------------------------------------------------------


def assert_fake_agrees(op: Callable, arguments: tuple) -> None:
    real = op(*arguments)
    with FakeTensorMode() as mode:
        fake = op(*(mode.from_tensor(a) if isinstance(a, Tensor) else a for a in arguments))
    meta = op(*(a.to("meta") if isinstance(a, Tensor) else a for a in arguments))
    as_tuple = partial(lambda r: r if isinstance(r, tuple) else (r,))
    for r, f, m in zip(as_tuple(real), as_tuple(fake), as_tuple(meta), strict=True):
        if r is None:
            assert f is None
            assert m is None
            continue
        for other, device in ((f, "cpu"), (m, "meta")):
            assert (other.shape, other.dtype, other.stride(), other.device.type) == (
                r.shape,
                r.dtype,
                r.stride(),
                device,
            )


@pytest.mark.parametrize("dtype", DTYPES)
def test_fake_kernels_agree(dtype: torch.dtype) -> None:
    index, table, weight, bias = embedding_arguments(dtype)
    strided = weight.t().contiguous().t()
    assert_fake_agrees(LIBRARY.embedding_concat_linear, (index, table, strided, bias, "tanh"))
    for mask in ([True, True, True], [False, True, False]):
        arguments = (normal(5, 7, dtype=dtype).t(), index, table, strided, None, "none", mask)
        assert_fake_agrees(LIBRARY.embedding_concat_linear_backward, arguments)

    x, mean, var, scale, shift = batch_norm_arguments(dtype)
    x = x.transpose(0, 1)  # the result is contiguous all the same
    for training in (True, False):
        assert_fake_agrees(LIBRARY.batch_norm, (x, mean, var, scale, shift, training, 0.1, 1e-5, "tanh"))
        assert_fake_agrees(
            LIBRARY.batch_norm_forward, (x, mean, var, scale, shift, training, 0.1, 1e-5, "none")
        )
        compute = torch.float64 if dtype == torch.float64 else torch.float32
        for statistics in (
            compute,
            dtype,
        ):  # the dtype that batch_norm_forward returns, and the other allowed one
            for weight in (scale, None):
                arguments = (x, x, torch.tanh(x), weight, mean.to(statistics), var.to(statistics))
                assert_fake_agrees(
                    LIBRARY.batch_norm_backward, (*arguments, training, "tanh", [True, True, False])
                )


def test_fake_kernels_refuse_what_the_real_ones_refuse() -> None:
    index, table, weight, bias = (t.to("meta") for t in embedding_arguments())
    with pytest.raises(RuntimeError, match="linear_weight must"):
        ops.embedding_concat_linear(index[:, :2], table, weight, bias)
    with pytest.raises(ValueError, match="activation"):
        ops.embedding_concat_linear(index, table, weight, bias, "relu")
    x, mean, var, scale, shift = (t.to("meta") for t in batch_norm_arguments())
    with pytest.raises(ValueError, match="more than one value per channel"):
        ops.batch_norm(x[:1, :1], mean, var, scale, shift, True, 0.1, 1e-5)


# ---- torch.compile and torch.export ------------------------------------------------------------------------


class Hidden(torch.nn.Module):
    """The two operators one after the other, as in the published model."""

    def __init__(self) -> None:
        super().__init__()
        _, *weights = embedding_arguments()
        self.table, self.weight, self.bias = (torch.nn.Parameter(w) for w in weights)
        self.scale, self.shift = torch.nn.Parameter(torch.ones(5)), torch.nn.Parameter(torch.zeros(5))
        self.register_buffer("mean", torch.zeros(5))
        self.register_buffer("var", torch.ones(5))

    def forward(self, index: Tensor) -> Tensor:
        z = ops.embedding_concat_linear(index, self.table, self.weight, self.bias, "none")
        return ops.batch_norm(
            z, self.mean, self.var, self.scale, self.shift, self.training, 0.1, 1e-5, "tanh"
        )


def gradients(module: Hidden, call: Callable[[Tensor], Tensor], index: Tensor) -> list[Tensor]:
    module.zero_grad()
    y = call(index)
    (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    buffers = [b.clone() for b in module.buffers()]
    return [y.detach(), *(p.grad.clone() for p in module.parameters() if p.grad is not None), *buffers]


def operators_of(graph: GraphModule) -> list[str]:
    targets = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    return [t.removeprefix("namegen_ext.").removesuffix(".default") for t in targets if "namegen_ext" in t]


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled_whole_with_the_operators_in_the_graphs(dynamic: bool) -> None:
    torch._dynamo.reset()
    seen: dict[str, list[str]] = {}

    def note(direction: str, graph: GraphModule, inputs: Any) -> Callable:
        seen[direction] = operators_of(graph)
        return make_boxed_func(graph.forward)

    backend = aot_autograd(fw_compiler=partial(note, "forward"), bw_compiler=partial(note, "backward"))
    eager, module = Hidden(), Hidden()
    compiled = torch.compile(module, fullgraph=True, backend=backend, dynamic=dynamic)
    for batch in (8, 13) if dynamic else (8,):
        found, expected = (
            gradients(module, compiled, tokens(batch, 3)),
            gradients(eager, eager, tokens(batch, 3)),
        )
        assert len(found) == len(expected) == 1 + 5 + 2
        assert all(map(torch.equal, found, expected))  # the same kernels on the same numbers
    # A backend may put a wrapper around an operator that changes its arguments, and names it as an argument
    # then.
    assert any("embedding_concat_linear" in name for name in seen["forward"])
    assert any("embedding_concat_linear_backward" in name for name in seen["backward"])
    assert any("batch_norm_backward" in name for name in seen["backward"])


@pytest.mark.parametrize("which", ["table", "weight", "bias", "scale"])
def test_compiled_with_one_trainable_parameter(which: str) -> None:
    torch._dynamo.reset()
    eager, module = Hidden(), Hidden()
    for m in (eager, module):
        for name, p in m.named_parameters():
            p.requires_grad_(name == which)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    found, expected = gradients(module, compiled, tokens(8, 3)), gradients(eager, eager, tokens(8, 3))
    assert len(found) == 1 + 1 + 2
    assert all(map(torch.equal, found, expected))


def test_compiled_evaluation() -> None:
    torch._dynamo.reset()
    module = Hidden().eval()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert torch.equal(compiled(tokens(8, 3)), module(tokens(8, 3)))
    assert torch.equal(module.mean, torch.zeros(5))


def test_compiled_by_inductor() -> None:
    torch._dynamo.reset()
    eager, module = Hidden(), Hidden()
    compiled = torch.compile(module, fullgraph=True)
    found, expected = gradients(module, compiled, tokens(8, 3)), gradients(eager, eager, tokens(8, 3))
    # What surrounds the operators is compiled anew: a few roundings of sums of 8 terms.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_export(training: bool) -> None:
    module = Hidden().train(training)
    dynamic = {"index": {0: torch.export.Dim("batch", min=2)}}
    program = torch.export.export(module, (tokens(8, 3),), dynamic_shapes=dynamic)
    names = operators_of(program.graph_module)
    assert names == ["embedding_concat_linear", "batch_norm"]
    exported = program.module()
    assert torch.equal(exported(tokens(13, 3)), Hidden().train(training)(tokens(13, 3)))
    decomposed = program.run_decompositions()
    assert any("embedding_concat_linear" in name for name in operators_of(decomposed.graph_module))


def test_make_fx_keeps_the_operators() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    # Made here: torch 2.11 does not trace what draws from a generator.
    index, _, weight, bias = embedding_arguments()

    def loss_gradient(table: Tensor) -> Tensor:
        leaf = table.detach().requires_grad_()
        return torch.autograd.grad(ops.embedding_concat_linear(index, leaf, weight, bias).sum(), leaf)[0]

    graph = make_fx(loss_gradient)(normal(6, 4))
    assert operators_of(graph) == ["embedding_concat_linear", "embedding_concat_linear_backward"]
