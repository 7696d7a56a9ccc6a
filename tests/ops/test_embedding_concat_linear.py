"""embedding_concat_linear against its readable reference: values and first gradients, shapes and layouts."""

from __future__ import annotations

from dataclasses import dataclass

import low_precision
import op_bounds
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from op_inputs import LAYOUTS, laid_out
from torch import Tensor

from namegen_ext import ops


@dataclass(frozen=True)
class Case:
    """One call. The shape of tokens is (*leading, block)."""

    leading: tuple[int, ...]
    block: int
    vocab: int
    embed: int
    hidden: int
    seed: int = 0
    token_dtype: torch.dtype = torch.int64
    activation: str = "tanh"
    bias: bool = True
    token_layout: str = "contiguous"
    embedding_layout: str = "contiguous"
    weight_layout: str = "contiguous"
    grad_layout: str = "contiguous"
    symbols: int = 1 << 30  # how many different ones occur at most

    def tensors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
        """tokens, the three weights as leaves, and the gradient of the output."""
        g = torch.Generator().manual_seed(self.seed)
        k = self.block * self.embed
        tokens = torch.randint(min(self.vocab, self.symbols), (*self.leading, self.block), generator=g)
        embedding = torch.randn(self.vocab, self.embed, generator=g, dtype=torch.float64)
        weight = torch.randn(self.hidden, k, generator=g, dtype=torch.float64) / k**0.5
        bias = torch.randn(self.hidden, generator=g, dtype=torch.float64)
        dy = torch.randn(*self.leading, self.hidden, generator=g, dtype=torch.float64)
        if self.grad_layout == "expanded":
            dy = dy[..., :1].to(dtype).expand(dy.shape)
        else:
            dy = laid_out(dy.to(dtype), self.grad_layout)
        return (
            laid_out(tokens.to(self.token_dtype), self.token_layout),
            laid_out(embedding.to(dtype), self.embedding_layout).requires_grad_(),
            laid_out(weight.to(dtype), self.weight_layout).requires_grad_(),
            bias.to(dtype).requires_grad_() if self.bias else None,
            dy,
        )


NAMES = ("embedding_weight", "linear_weight", "linear_bias")


def run(case: Case, dtype: torch.dtype) -> tuple[dict[str, Tensor], tuple]:
    """The output and the gradients, with what went in."""
    tensors = case.tensors(dtype)
    tokens, embedding, weight, bias, dy = tensors
    before = [t.detach().clone() for t in tensors if t is not None]
    output = ops.embedding_concat_linear(tokens, embedding, weight, bias, case.activation)
    saved = output.detach().clone()
    output.backward(dy)
    assert torch.equal(output.detach(), saved), "backward changed the output"
    after = [t.detach() for t in tensors if t is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "an input was changed"
    found = {"output": output.detach()}
    for name, leaf in zip(NAMES, (embedding, weight, bias), strict=True):
        if leaf is not None:
            assert leaf.grad is not None
            found[name] = leaf.grad
    return found, tensors


def check(case: Case, dtype: torch.dtype) -> None:
    found, (tokens, embedding, weight, bias, dy) = run(case, dtype)
    expected = op_bounds.embedding_concat_linear(tokens, embedding, weight, bias, case.activation, dy)
    for name, value in found.items():
        assert value.dtype == dtype
        expected[name].check(value, f"{name} of {case}")


def _leading(batch: int) -> st.SearchStrategy[tuple[int, ...]]:
    shapes = [(batch,), (1, batch), (batch, 1, 1)]
    if batch == 1:
        shapes += [(), (1,)]
    if batch % 2 == 0:
        shapes += [(2, batch // 2), (batch // 2, 2, 1)]
    return st.sampled_from(shapes)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # Small sizes by themselves find the edges of vectors and tiles; the product is kept to what runs in
    # milliseconds.
    batch = draw(st.sampled_from([0, 1, 2, 3, 5, 13, 31, 32, 33, 64]) | st.integers(0, 200))
    block = draw(st.sampled_from([1, 2, 3, 8]) | st.integers(1, 64))
    embed = draw(st.integers(1, 70 if block <= 8 else 12))
    vocab = draw(st.sampled_from([1, 2, 27]) | st.integers(1, 300))
    hidden = draw(st.sampled_from([1, 7, 8, 16, 63, 64, 65, 200]) | st.integers(1, 300))
    token_dtype = draw(st.sampled_from([torch.int64, torch.int32, torch.uint8]))
    if token_dtype == torch.uint8:
        vocab = min(vocab, 256)
    return Case(
        leading=draw(_leading(batch)),
        block=block,
        vocab=vocab,
        embed=embed,
        hidden=hidden,
        seed=draw(st.integers(0, 2**16)),
        token_dtype=token_dtype,
        activation=draw(st.sampled_from(["none", "tanh"])),
        bias=draw(st.booleans()),
        token_layout=draw(st.sampled_from(LAYOUTS)),
        embedding_layout=draw(st.sampled_from(LAYOUTS)),
        weight_layout=draw(st.sampled_from(LAYOUTS)),
        grad_layout=draw(st.sampled_from([*LAYOUTS, "expanded"])),
        symbols=draw(st.sampled_from([1, 3, 1 << 30])),
    )


# By name, so that each algorithm is certainly reached (the rule is in
# csrc/core/kernels/cpu/embedding_concat_linear_choice.h).
NAMED = {
    "table": Case((64,), 3, 27, 10, 200),
    "table, few rows": Case((9,), 4, 30, 10, 33, symbols=2),
    "table, block 2": Case((50,), 2, 11, 5, 17),
    "table, block 8": Case((50,), 8, 11, 24, 68),
    "table, block 5": Case((50,), 5, 11, 24, 100),
    "table, many chunks": Case((5000,), 3, 27, 10, 130),
    "table, one symbol": Case((300,), 3, 1, 10, 65),
    "table, several symbol tiles": Case((2000,), 2, 100, 16, 40),
    "table, row of one": Case((2,), 64, 2, 3, 5),
    "dots": Case((16,), 8, 300, 8, 50),
    "dots, 32 rows and a partial vector": Case((32,), 3, 5000, 33, 41),
    "dots, one example": Case((), 8, 300, 9, 300),
    "product, shallow": Case((16,), 3, 3000, 10, 200),
    "product, 33 rows": Case((33,), 8, 3000, 16, 70),
    "product, many rows": Case((3000,), 2, 50_000, 6, 90),
    "product, wide embedding": Case((100,), 1, 3000, 300, 20),
    "product, more than a depth of 512": Case((700,), 1, 3000, 3, 5),
    # In low precision such a wide layer is computed in slices, here in three.
    "table, wide": Case((300,), 8, 20, 64, 300),
    "product, wide": Case((40,), 8, 3000, 64, 300),
    "table and product, wide": Case((90,), 8, 160, 64, 300),
    "product, block 64": Case((40,), 64, 10_000, 2, 3),
    # There are too many symbols to number, or copies would be larger than what the stock layers hold. So torch's
    # products are taken, forward and backward, or backward only.
    "no room for numbers": Case((500,), 64, 50_000, 1, 2),
    "no room for a panel": Case((40,), 1, 3, 5000, 70),
    "no room for a transposed gradient": Case((2,), 1, 3, 2000, 1000),
}


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMED)
def test_each_algorithm(name: str, dtype: torch.dtype, activation: str) -> None:
    case = NAMED[name]
    check(Case(**{**case.__dict__, "activation": activation}), dtype)


@given(case=cases(), dtype=st.sampled_from([torch.float32, torch.float64]))
@example(case=Case((0,), 3, 27, 10, 20), dtype=torch.float32)
@example(case=Case((4, 0, 2), 3, 27, 10, 20, bias=False), dtype=torch.float64)
@example(case=Case((), 3, 27, 10, 20, token_dtype=torch.uint8), dtype=torch.float32)
@example(case=Case((6,), 3, 256, 10, 20, token_dtype=torch.uint8, token_layout="sliced"), dtype=torch.float32)
@settings(max_examples=400)
def test_matches_the_reference(case: Case, dtype: torch.dtype) -> None:
    check(case, dtype)


@pytest.mark.long
@given(case=cases(), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=4000)
def test_matches_the_reference_at_length(case: Case, dtype: torch.dtype) -> None:
    check(case, dtype)


@given(case=cases(), dtype=st.sampled_from([torch.bfloat16, torch.float16]))
@settings(max_examples=200)
def test_low_precision_errs_by_rounding_or_as_pytorch(case: Case, dtype: torch.dtype) -> None:
    check_low(case, dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMED)
def test_low_precision_of_each_algorithm(name: str, dtype: torch.dtype) -> None:
    check_low(NAMED[name], dtype)


def check_low(case: Case, dtype: torch.dtype) -> None:
    found, (tokens, embedding, weight, bias, dy) = run(case, dtype)
    exact = op_bounds.embedding_concat_linear(tokens, embedding, weight, bias, case.activation, dy)
    leaves = [
        t.detach().clone().requires_grad_() if t is not None else None for t in (embedding, weight, bias)
    ]
    stock = ops.embedding_concat_linear_reference(tokens.long(), *leaves, case.activation)
    stock.backward(dy)
    passed_on = low_precision.passed_on_by_embedding_concat_linear(tokens, embedding, weight, dy)
    low_precision.check(found["output"], stock.detach(), exact["output"], None, 2, dtype, f"output of {case}")
    for name, leaf in zip(NAMES, leaves, strict=True):
        if leaf is not None:
            assert leaf.grad is not None
            low_precision.check(
                found[name], leaf.grad, exact[name], passed_on[name], 3, dtype, f"{name} of {case}"
            )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_are_rounded_once_to_the_nearest(dtype: torch.dtype) -> None:
    # One product a result: float32 holds it exactly (11 + 11 bits at most), so that the nearest low-precision
    # number is the only right answer, subnormals, ties and overflow included.
    g = torch.Generator().manual_seed(3)
    a = torch.cat(
        [torch.randn(200, generator=g), 2.0 ** torch.arange(-14, 15), 1 + 2.0 ** -torch.arange(1, 12)]
    )
    b = torch.cat(
        [
            torch.randn(210, generator=g) * 1e-3,
            2.0 ** torch.arange(-14, 15),
            torch.randn(50, generator=g) * 300,
        ]
    )
    a, b = a.to(dtype), b.to(dtype)
    tokens = torch.arange(len(a))[:, None]
    found = ops.embedding_concat_linear(tokens, a[:, None], b[:, None], None, "none")
    assert torch.equal(found, (a[:, None].float() * b[None, :].float()).to(dtype))


@pytest.mark.parametrize(("block", "embed"), [(0, 4), (3, 0)])
@pytest.mark.parametrize("batch", [0, 1, 40])
def test_nothing_to_sum_leaves_the_bias(batch: int, block: int, embed: int) -> None:
    tokens = torch.zeros(batch, block, dtype=torch.int64)
    embedding = torch.ones(2, embed, requires_grad=True)
    weight = torch.ones(5, block * embed, requires_grad=True)
    bias = torch.arange(5.0, requires_grad=True)
    y = ops.embedding_concat_linear(tokens, embedding, weight, bias, "none")
    assert torch.equal(y, torch.arange(5.0).expand(batch, 5))
    y.sum().backward()
    assert torch.equal(bias.grad, torch.full((5,), float(batch)))
    assert torch.equal(embedding.grad, torch.zeros(2, embed))
    assert weight.grad.shape == weight.shape


def test_no_outputs_and_no_symbols() -> None:
    tokens = torch.zeros(4, 3, dtype=torch.int64)
    assert ops.embedding_concat_linear(tokens, torch.ones(2, 5), torch.ones(0, 15)).shape == (4, 0)
    none = torch.zeros(0, 3, dtype=torch.int64)
    embedding = torch.ones(0, 5, requires_grad=True)
    y = ops.embedding_concat_linear(none, embedding, torch.ones(7, 15))
    assert y.shape == (0, 7)
    y.sum().backward()
    assert embedding.grad.shape == (0, 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("vocab", [2, 50])
def test_no_outputs_leave_gradients_of_zero(vocab: int, dtype: torch.dtype) -> None:
    embedding = torch.ones(vocab, 5, dtype=dtype, requires_grad=True)
    weight = torch.ones(0, 15, dtype=dtype, requires_grad=True)
    ops.embedding_concat_linear(torch.ones(4, 3, dtype=torch.long), embedding, weight).sum().backward()
    assert embedding.grad is not None
    assert weight.grad is not None
    assert torch.equal(embedding.grad, torch.zeros(vocab, 5, dtype=dtype))
    assert weight.grad.shape == (0, 15)


def test_tied_weights_receive_both_gradients() -> None:
    # One tensor as embedding and linear weight: (V, E) = (H, block * E) with block 1.
    tokens = torch.tensor([[0], [2], [2]])
    shared = torch.randn(
        4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    found = torch.autograd.grad(ops.embedding_concat_linear(tokens, shared, shared).sum(), shared)[0]
    expected = torch.autograd.grad(
        ops.embedding_concat_linear_reference(tokens, shared, shared).sum(), shared
    )[0]
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)  # sums of 6 terms near 1, in float64


def test_stale_output_is_refused() -> None:
    embedding = torch.randn(4, 2, requires_grad=True)
    y = ops.embedding_concat_linear(torch.tensor([[0, 1]]), embedding, torch.randn(3, 4))
    with torch.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_rows_that_do_not_occur_are_not_read_in_low_precision(batch: int, dtype: torch.dtype) -> None:
    """The bits of the same tokens with an embedding that has no other rows."""
    vocab, block, embed, hidden = 300, 4, 6, 9
    occurring = torch.tensor([0, 7, 8, 150, 299])
    numbers = torch.randint(len(occurring), (batch, block), generator=torch.Generator().manual_seed(1))
    embedding = torch.full((vocab, embed), torch.nan, dtype=dtype)
    embedding[occurring] = torch.randn(len(occurring), embed).to(dtype)
    linear, bias = torch.randn(hidden, block * embed).to(dtype), torch.randn(hidden).to(dtype)
    dy = torch.randn(batch, hidden).to(dtype)

    def run(tokens: Tensor, rows: Tensor) -> list[Tensor]:
        weights = [weight.clone().requires_grad_() for weight in (rows, linear, bias)]
        y = ops.embedding_concat_linear(tokens, *weights)
        return [y.detach(), *torch.autograd.grad(y, weights, dy)]

    few = run(numbers, embedding[occurring])
    many = run(occurring[numbers], embedding)
    for name, found, expected in zip(
        ("y", "linear", "bias"), (many[0], *many[2:]), (few[0], *few[2:]), strict=True
    ):
        assert torch.equal(found, expected), name
    assert torch.equal(many[1][occurring], few[1])
    others = torch.ones(vocab, dtype=torch.bool)
    others[occurring] = False
    assert not many[1][others].any()
    assert many[1].shape == embedding.shape
    assert many[1].dtype == dtype
