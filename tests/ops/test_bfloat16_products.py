"""embedding_concat_linear in bfloat16 where symbols hardly repeat, at sizes that torch's products may be taken for.

Where the CPU multiplies bfloat16 the bits are those of the stock layers, else the results are as near as a kernel's.
"""

from __future__ import annotations

from collections.abc import Callable

import low_precision
import op_bounds
import pytest
import torch
from torch import Tensor

import namegen_ext
from namegen_ext import ops

BY_TORCH = namegen_ext.build_info()["cpu_isa"] == "avx512" and torch.cpu._is_avx512_bf16_supported()

SIZES = {  # batch, block, V, E, H
    "large weight": (32, 8, 500, 64, 512),
    "large weight, one example": (1, 8, 500, 64, 512),
    "odd sizes": (1001, 5, 1200, 17, 333),
    "narrow": (1024, 3, 5000, 10, 200),
}
NAMES = ("output", "embedding_weight", "linear_weight", "linear_bias")


def results(
    op: Callable[..., Tensor], tokens: Tensor, weights: list[Tensor], dy: Tensor, activation: str
) -> list[Tensor]:
    y = op(tokens, *weights, activation=activation)
    return [y.detach(), *torch.autograd.grad(y, weights, dy)]


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("size", SIZES)
def test_the_results_are_the_stock_layers(size: str, activation: str) -> None:
    batch, block, vocab, embed, hidden = SIZES[size]
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocab, (batch, block), generator=g)
    shapes = (vocab, embed), (hidden, block * embed), (hidden,)
    weights = [(torch.randn(shape, generator=g) / 8).bfloat16().requires_grad_() for shape in shapes]
    dy = torch.randn(batch, hidden, generator=g).bfloat16()
    computed = results(ops.embedding_concat_linear, tokens, weights, dy, activation)
    stock = results(ops.embedding_concat_linear_reference, tokens, weights, dy, activation)
    if BY_TORCH:
        assert all(map(torch.equal, computed, stock))
        return
    in_float32 = [w.detach().float() for w in weights]
    exact = op_bounds.embedding_concat_linear(tokens, *in_float32, activation, dy)
    passed_on = low_precision.passed_on_by_embedding_concat_linear(tokens, *weights[:2], dy)
    for name, mine, other in zip(NAMES, computed, stock, strict=True):
        low_precision.check(mine, other, exact[name], passed_on.get(name), 1.0, torch.bfloat16, name)


@pytest.mark.parametrize("kind", ["int32", "uint8", "strided", "leading dimensions", "strided weights"])
def test_arguments_in_other_layouts_are_the_same(kind: str) -> None:
    batch, block, vocab, embed, hidden = 48, 8, 200, 64, 512
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocab, (batch, block), generator=g)
    shapes = (vocab, embed), (hidden, block * embed), (hidden,)
    weights = [(torch.randn(shape, generator=g) / 8).bfloat16().requires_grad_() for shape in shapes]
    dy = torch.randn(batch, hidden, generator=g).bfloat16()
    expected = results(ops.embedding_concat_linear, tokens, weights, dy, "tanh")
    if kind in ("int32", "uint8"):
        tokens = tokens.to(getattr(torch, kind))
    elif kind == "strided":
        tokens, dy = tokens.t().contiguous().t(), dy.t().contiguous().t()
    elif kind == "leading dimensions":
        tokens, dy = tokens.view(6, 8, block), dy.view(6, 8, hidden)
        expected[0] = expected[0].view(6, 8, hidden)
    else:
        weights = [w.detach().t().contiguous().t().requires_grad_() if w.dim() == 2 else w for w in weights]
    computed = results(ops.embedding_concat_linear, tokens, weights, dy, "tanh")
    assert all(map(torch.equal, computed, expected))


@pytest.mark.parametrize("wanted", range(3))
def test_only_the_gradients_that_are_wanted(wanted: int) -> None:
    tokens = torch.arange(32 * 8).view(32, 8)
    g = torch.Generator().manual_seed(0)
    weights = [torch.randn(s, generator=g).bfloat16() for s in ((256, 64), (512, 512), (512,))]
    everything = results(
        ops.embedding_concat_linear,
        tokens,
        [w.clone().requires_grad_() for w in weights],
        torch.ones(32, 512).bfloat16(),
        "tanh",
    )
    weights[wanted].requires_grad_()
    ops.embedding_concat_linear(tokens, *weights).backward(torch.ones(32, 512).bfloat16())
    for i, weight in enumerate(weights):
        if i == wanted:
            assert weight.grad is not None
            assert torch.equal(weight.grad, everything[1 + i])
        else:
            assert weight.grad is None


def test_a_token_out_of_range_is_named() -> None:
    tokens = torch.zeros(32, 8, dtype=torch.long)
    tokens[3, 1] = 256
    weights = [torch.randn(s).bfloat16() for s in ((256, 64), (512, 512), (512,))]
    with pytest.raises(IndexError, match=r"tokens: .*element 25 is 256, expected 0 <= token < 256"):
        ops.embedding_concat_linear(tokens, *weights)


def an_example() -> tuple[Tensor, list[Tensor], Tensor]:
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(500, (32, 8), generator=g)
    shapes = (500, 64), (512, 512), (512,)
    weights = [(torch.randn(shape, generator=g) / 8).bfloat16().requires_grad_() for shape in shapes]
    return tokens, weights, torch.randn(32, 512, generator=g).bfloat16()


def test_a_kernel_computes_where_onednn_is_switched_off() -> None:
    tokens, weights, dy = an_example()
    usual = results(ops.embedding_concat_linear, tokens, weights, dy, "tanh")
    with torch.backends.mkldnn.flags(enabled=False):
        computed = results(ops.embedding_concat_linear, tokens, weights, dy, "tanh")
    assert all(map(torch.equal, computed, usual)) is not BY_TORCH


def test_autocast_around_the_backward_pass_changes_nothing() -> None:
    tokens, weights, dy = an_example()
    dy = dy * 1e6  # beyond float16
    expected = results(ops.embedding_concat_linear, tokens, weights, dy, "tanh")
    y = ops.embedding_concat_linear(tokens, *weights)
    with torch.autocast("cpu", torch.float16):
        computed = torch.autograd.grad(y, weights, dy)
    assert all(map(torch.equal, computed, expected[1:]))
