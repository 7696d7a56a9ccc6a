"""Derivatives: where they are needed alone, twice, and a clear refusal of what there is no rule for."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from namegen_ext import ops


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


TOKENS = torch.tensor([[0, 1, 1], [2, 1, 0], [2, 2, 2], [0, 1, 1]])  # 4 examples, symbols repeat
FEW = torch.tensor([[0, 4, 1]])  # one example: the plain product


def embedding_inputs(tokens: Tensor = TOKENS) -> list[Tensor]:
    return [normal(5, 2, seed=1), normal(4, 3 * 2, seed=2), normal(4, seed=3)]


def batch_norm_inputs() -> list[Tensor]:
    return [normal(5, 2, 3, seed=4), normal(3, seed=5), normal(3, seed=6)]


def batch_norm_call(op: Callable[..., Tensor], training: bool, activation: str) -> Callable[..., Tensor]:
    """op as a function of x, weight and bias alone."""

    def call(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        # New running statistics each time: they must not carry over from call to call.
        mean = torch.linspace(-1, 1, x.shape[-1]).to(x)
        var = torch.linspace(0.5, 2, x.shape[-1]).to(x)
        return op(x, mean, var, weight, bias, training, 0.1, 1e-5, activation)

    return call


MASKS = [mask for mask in itertools.product([True, False], repeat=3) if any(mask)]


def check_mask(
    fused: Callable[..., Tensor], stock: Callable[..., Tensor], values: list[Tensor], mask
) -> None:
    found = [v.clone().requires_grad_(wanted) for v, wanted in zip(values, mask, strict=True)]
    expected = [v.clone().requires_grad_(wanted) for v, wanted in zip(values, mask, strict=True)]
    dy = normal(*stock(*values).shape, seed=9)
    fused(*found).backward(dy)
    stock(*expected).backward(dy)
    for f, e, wanted in zip(found, expected, mask, strict=True):
        assert (f.grad is not None) == wanted
        if wanted:
            torch.testing.assert_close(f.grad, e.grad, rtol=1e-12, atol=1e-12)  # ~100 terms near 1 in float64


@pytest.mark.parametrize("tokens", [TOKENS, FEW], ids=["table", "plain"])
@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_embedding_gradients_only_where_needed(mask: tuple[bool, bool, bool], tokens: Tensor) -> None:
    check_mask(
        lambda *w: ops.embedding_concat_linear(tokens, *w),
        lambda *w: ops.embedding_concat_linear_reference(tokens, *w),
        embedding_inputs(),
        mask,
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_batch_norm_gradients_only_where_needed(mask: tuple[bool, bool, bool], training: bool) -> None:
    check_mask(
        batch_norm_call(ops.batch_norm, training, "tanh"),
        batch_norm_call(ops.batch_norm_reference, training, "tanh"),
        batch_norm_inputs(),
        mask,
    )


@pytest.mark.parametrize("present", list(itertools.product([True, False], repeat=2)), ids=str)
def test_batch_norm_gradients_with_absent_parameters(present: tuple[bool, bool]) -> None:
    # The gradients are told apart by position: an absent weight must not shift the bias into its place.
    x, weight, bias = (t.requires_grad_() for t in batch_norm_inputs())
    leaves = [t for t, kept in zip((x, weight, bias), (True, *present), strict=True) if kept]
    arguments = (x, weight if present[0] else None, bias if present[1] else None)
    dy = normal(5, 2, 3, seed=9)
    found = torch.autograd.grad(batch_norm_call(ops.batch_norm, True, "none")(*arguments), leaves, dy)
    expected = torch.autograd.grad(
        batch_norm_call(ops.batch_norm_reference, True, "none")(*arguments), leaves, dy
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)  # sums of 10 terms near 1


@pytest.mark.parametrize("tokens", [TOKENS, FEW], ids=["table", "plain"])
@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("bias", [True, False])
def test_embedding_gradcheck(activation: str, bias: bool, tokens: Tensor) -> None:
    inputs = [t.requires_grad_() for t in embedding_inputs()][: 3 if bias else 2]

    def call(*weights: Tensor) -> Tensor:
        return ops.embedding_concat_linear(tokens, *weights, *([] if bias else [None]), activation)

    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_gradcheck(activation: str, training: bool, affine: bool) -> None:
    inputs = [t.requires_grad_() for t in batch_norm_inputs()][: 3 if affine else 1]
    call = batch_norm_call(ops.batch_norm, training, activation)

    def of_given(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        return call(x, weight, bias)

    assert torch.autograd.gradcheck(of_given, inputs)
    assert torch.autograd.gradgradcheck(of_given, inputs)


def second_derivatives(call: Callable[..., Tensor], inputs: list[Tensor], dy: Tensor) -> list[Tensor]:
    """Return the gradients of a penalty, the sum of squares of the first gradients, with respect to inputs and dy."""
    leaves = [t.detach().clone().requires_grad_() for t in (*inputs, dy)]
    first = torch.autograd.grad(call(*leaves[:-1]), leaves[:-1], leaves[-1], create_graph=True)
    penalty = sum((g * g).sum() for g in first)
    return list(torch.autograd.grad(penalty, leaves, materialize_grads=True))


@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_embedding_gradient_penalty(activation: str) -> None:
    dy = normal(4, 4, seed=9)
    found, expected = (
        second_derivatives(lambda *w, op=op: op(TOKENS, *w, activation), embedding_inputs(), dy)
        for op in (ops.embedding_concat_linear, ops.embedding_concat_linear_reference)
    )
    # Cubic in values near 1 over fewer than 100 terms, in float64.
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_gradient_penalty(training: bool, activation: str, dtype: torch.dtype) -> None:
    inputs, dy = batch_norm_inputs(), normal(5, 2, 3, seed=9)
    expected = second_derivatives(batch_norm_call(ops.batch_norm_reference, training, activation), inputs, dy)
    call = batch_norm_call(ops.batch_norm, training, activation)
    found = second_derivatives(call, [t.to(dtype) for t in inputs], dy.to(dtype))
    # Against the largest value, since the terms of one cancel: a few hundred roundings.
    for f, e in zip(found, expected, strict=True):
        assert f.dtype == dtype
        assert float((f.double() - e).abs().max()) <= 300 * torch.finfo(dtype).eps * max(
            1.0, float(e.abs().max())
        )


def test_create_graph_gives_the_same_first_gradients() -> None:
    weights = [t.requires_grad_() for t in embedding_inputs()]
    y = ops.embedding_concat_linear(TOKENS, *weights)
    plain = torch.autograd.grad(y, weights, torch.ones_like(y), retain_graph=True)
    differentiable = torch.autograd.grad(y, weights, torch.ones_like(y), create_graph=True)
    torch.testing.assert_close(
        differentiable, plain, rtol=1e-13, atol=1e-13
    )  # the same sums in another order


def test_backward_twice_needs_retain_graph() -> None:
    weights = [t.requires_grad_() for t in embedding_inputs()]
    y = ops.embedding_concat_linear(TOKENS, *weights).sum()
    y.backward(retain_graph=True)
    first = weights[0].grad.clone()
    y.backward()
    assert torch.equal(weights[0].grad, 2 * first)
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_activation_checkpointing() -> None:
    from torch.utils.checkpoint import checkpoint

    weights = [t.requires_grad_() for t in embedding_inputs()]
    plain = torch.autograd.grad(ops.embedding_concat_linear(TOKENS, *weights).sum(), weights)
    y = checkpoint(ops.embedding_concat_linear, TOKENS, *weights, use_reentrant=False)
    assert all(map(torch.equal, torch.autograd.grad(y.sum(), weights), plain))


# ---- the nodes of the graph ----------------------------------------------------------------------------------


def call(which: str) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """An operator in training with tanh, and its weights, which need gradients."""
    if which == "embedding":
        weights = [t.requires_grad_() for t in embedding_inputs()]
        return lambda: ops.embedding_concat_linear(TOKENS, *weights), weights
    weights = [t.requires_grad_() for t in batch_norm_inputs()]
    return lambda: batch_norm_call(ops.batch_norm, True, "tanh")(*weights), weights


@pytest.mark.parametrize("which", ["embedding", "batch_norm"])
def test_compiled_autograd(which: str) -> None:
    run, weights = call(which)
    expected = torch.autograd.grad(run().sum(), weights)
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    for _ in range(2):
        loss = run().sum()
        with torch._dynamo.compiled_autograd._enable(torch.compile(backend=backend)):
            loss.backward()
        for weight, gradient in zip(weights, expected, strict=True):
            assert torch.equal(weight.grad, gradient)
            weight.grad = None
    assert graphs  # it was compiled


@pytest.mark.parametrize("which", ["embedding", "batch_norm"])
def test_saved_tensors_hooks(which: str) -> None:
    run, weights = call(which)
    expected = torch.autograd.grad(run().sum(), weights)
    packed: list[Tensor] = []
    unpacked: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        packed.append(tensor)
        return tensor.clone()

    def unpack(tensor: Tensor) -> Tensor:
        unpacked.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = run()
    assert all(map(torch.equal, torch.autograd.grad(y, weights, torch.ones_like(y)), expected))
    assert len(packed) == len(unpacked) == {"embedding": 4, "batch_norm": 5}[which]


@pytest.mark.parametrize("which", ["embedding", "batch_norm"])
def test_a_saved_tensor_changed_in_place_is_an_error(which: str) -> None:
    run, weights = call(which)
    y = run()
    with torch.no_grad():
        weights[0].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("which", ["embedding", "batch_norm"])
def test_the_node_has_the_name_of_its_operator(which: str) -> None:
    run, _ = call(which)
    expected = {"embedding": "EmbeddingConcatLinear", "batch_norm": "BatchNorm"}[which]
    assert run().grad_fn.name() == f"NamegenExt{expected}Backward"


def test_a_deep_graph_is_freed_without_a_deep_stack() -> None:
    y = normal(4, 3).requires_grad_()
    for _ in range(100_000):
        y = ops.batch_norm(y, None, None, None, None, True, 0.1, 1e-5)
    del y


# ---- no rule: forward mode and functorch -------------------------------------------------------------------


@pytest.mark.parametrize("which", ["embedding", "batch_norm"])
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad])
def test_forward_mode_is_refused(which: str, mode: Callable) -> None:
    if which == "embedding":
        first, *rest = embedding_inputs()
        call = lambda dual: ops.embedding_concat_linear(TOKENS, dual, *rest)  # noqa: E731
    else:
        first, *rest = batch_norm_inputs()
        call = lambda dual: batch_norm_call(ops.batch_norm, False, "none")(dual, *rest)  # noqa: E731
    with forward_ad.dual_level(), mode():
        dual = forward_ad.make_dual(first, first)
        with pytest.raises(RuntimeError, match="jvp is not implemented"):
            call(dual)


def test_functorch_gradients_are_refused() -> None:
    table, weight, bias = embedding_inputs()
    with pytest.raises(RuntimeError, match="functorch"):
        torch.func.grad(lambda t: ops.embedding_concat_linear(TOKENS, t, weight, bias).sum())(table)
    x, weight, bias = batch_norm_inputs()
    with pytest.raises(RuntimeError, match="functorch"):
        torch.func.grad(lambda t: ops.batch_norm(t, None, None, weight, bias, True, 0.1, 1e-5).sum())(x)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_of_embedding_concat_linear_runs_sample_by_sample() -> None:
    table, weight, bias = embedding_inputs()
    tokens = torch.stack([TOKENS, TOKENS.flip(0)])
    found = torch.func.vmap(lambda t: ops.embedding_concat_linear(t, table, weight, bias))(tokens)
    assert torch.equal(
        found, torch.stack([ops.embedding_concat_linear(t, table, weight, bias) for t in tokens])
    )
    tables = torch.stack([table, 2 * table])
    found = torch.func.vmap(lambda t: ops.embedding_concat_linear(TOKENS, t, weight, bias))(tables)
    assert torch.equal(
        found, torch.stack([ops.embedding_concat_linear(TOKENS, t, weight, bias) for t in tables])
    )


def test_vmap_of_batch_norm_is_refused() -> None:
    # Its schema may change the running statistics, which vmap's loop over samples doesn't take.
    with pytest.raises(RuntimeError, match=r"Batching rule not implemented for namegen_ext::batch_norm"):
        torch.func.vmap(lambda t: ops.batch_norm(t, None, None, None, None, True, 0.1, 1e-5))(normal(2, 5, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_backward_operator_called_by_itself(dtype: torch.dtype) -> None:
    # Its arguments may ask for gradients that it does not give.
    tokens = torch.arange(21).view(7, 3) % 6
    table, weight = torch.ones(6, 2, dtype=dtype), torch.ones(4, 6, dtype=dtype)
    y = dy = torch.full((7, 4), 0.5, dtype=dtype)
    op = torch.ops.namegen_ext.embedding_concat_linear_backward
    expected = op(dy, tokens, table, weight, y, "tanh", [True] * 3)
    leaves = [t.clone().requires_grad_() for t in (table, weight)]
    computed = op(dy, tokens, *leaves, y, "tanh", [True] * 3)
    assert all(map(torch.equal, computed, expected))
