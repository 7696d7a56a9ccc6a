"""embedding_concat_linear_batch_norm: its results and gradients within derived bounds, its modes and layouts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import op_bounds
import pytest
import torch
from op_inputs import LAYOUTS, check_low_precision, laid_out
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

from namegen_ext import ops

LIBRARY = torch.ops.namegen_ext
NAMES = ("embedding_weight", "linear_weight", "linear_bias", "weight", "bias")
# batch, block, V, E, H
SIZES = {
    "published": (32, 3, 27, 10, 200),
    "smallest": (2, 1, 1, 1, 1),
    "two examples": (2, 3, 27, 10, 17),
    "fewer examples than symbols": (20, 3, 27, 10, 33),
    "odd": (63, 5, 11, 3, 65),
    "pairs are counted": (700, 3, 27, 10, 40),
    "examples are walked over": (300, 3, 90, 4, 9),
    "long contexts": (1500, 8, 6, 4, 33),
    "without room for the table": (40, 30, 39, 2, 3000),
}


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def symbols(batch: int, block: int, vocab: int) -> Tensor:
    """Tokens of which a few are frequent, as in names."""
    g = torch.Generator().manual_seed(1)
    return (torch.rand(batch, block, generator=g) ** 3 * vocab).long()  # (N, T)


def parameters(size: str, dtype: torch.dtype) -> list[Tensor]:
    _, block, vocab, embed, hidden = SIZES[size]
    shapes = (vocab, embed), (hidden, block * embed), (hidden,), (hidden,), (hidden,)
    return [normal(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def statistics(hidden: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return normal(hidden, seed=8, dtype=dtype), (normal(hidden, seed=9) ** 2 + 0.1).to(dtype)


def call(op: Callable[..., Tensor], tokens: Tensor, values: list[Any], running: Any, *rest: Any) -> Tensor:
    """op(...), where values are the five parameters and running the two statistics."""
    table, linear, linear_bias, weight, bias = values
    return op(tokens, table, linear, linear_bias, *running, weight, bias, *rest)


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)
def test_within_the_bounds(size: str, dtype: torch.dtype, training: bool, activation: str) -> None:
    batch, block, vocab, _, hidden = SIZES[size]
    tokens = symbols(batch, block, vocab)
    values = [p.requires_grad_() for p in parameters(size, dtype)]
    mean, var = statistics(hidden, dtype)
    dy = normal(batch, hidden, seed=7, dtype=dtype)
    rest = training, 0.1, 1e-5, activation
    table, linear, linear_bias, weight, bias = values
    expected = op_bounds.embedding_concat_linear_batch_norm(
        tokens, table, linear, linear_bias, mean.clone(), var.clone(), weight, bias, *rest, dy
    )
    y = call(ops.embedding_concat_linear_batch_norm, tokens, values, (mean, var), *rest)
    grads = torch.autograd.grad(y, values, dy)
    expected["output"].check(y.detach(), "output")
    for name, grad in zip(NAMES, grads, strict=True):
        expected[name].check(grad, name)
    if training:
        expected["running_mean"].check(mean, "running_mean")
        expected["running_var"].check(var, "running_var")
    else:
        assert torch.equal(mean, statistics(hidden, dtype)[0])
        assert torch.equal(var, statistics(hidden, dtype)[1])


@pytest.mark.parametrize("size", ["published", "pairs are counted"])
@pytest.mark.parametrize("absent", ["linear_bias", "weight", "bias", "running"])
@pytest.mark.parametrize("shape", [(-1,), (2, -1)])
def test_what_may_be_absent_and_more_dimensions(size: str, absent: str, shape: tuple[int, ...]) -> None:
    batch, block, vocab, _, hidden = SIZES[size]
    tokens = symbols(batch, block, vocab).reshape(*shape, block)
    values: list[Any] = parameters(size, torch.float64)
    if absent != "running":
        values[NAMES.index(absent)] = None
    running: Any = (None, None) if absent == "running" else statistics(hidden, torch.float64)
    found, expected = (
        call(op, tokens, values, [r if r is None else r.clone() for r in running], True, 0.1, 1e-5, "tanh")
        for op in (ops.embedding_concat_linear_batch_norm, ops.embedding_concat_linear_batch_norm_reference)
    )
    assert found.shape == (*tokens.shape[:-1], hidden)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)  # float64, some 100 terms of size 1


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("token_type", [torch.int64, torch.int32, torch.uint8])
def test_any_layout_gives_the_same_bits(layout: str, token_type: torch.dtype) -> None:
    size = "published"
    batch, block, vocab, _, hidden = SIZES[size]
    tokens = symbols(batch, block, vocab)
    dy = normal(batch, hidden, seed=7, dtype=torch.float32)

    def run(change: Callable[[Tensor], Tensor], index: Tensor) -> list[Tensor]:
        values = [change(p).requires_grad_() for p in parameters(size, torch.float32)]
        running = [change(r) for r in statistics(hidden, torch.float32)]
        y = call(ops.embedding_concat_linear_batch_norm, index, values, running, True, 0.1, 1e-5, "tanh")
        return [y.detach(), *running, *torch.autograd.grad(y, values, change(dy))]

    expected = run(lambda t: t, tokens)
    found = run(lambda t: laid_out(t, layout), laid_out(tokens.to(token_type), layout))
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("training", [True, False])
def test_low_precision(dtype: torch.dtype, training: bool) -> None:
    size = "published"
    batch, block, vocab, _, hidden = SIZES[size]
    tokens = symbols(batch, block, vocab)
    values = parameters(size, dtype)
    exact, stock, found = (
        call(op, tokens, [v.to(to) for v in values], statistics(hidden, to), training, 0.1, 1e-5, "none")
        for op, to in (
            (ops.embedding_concat_linear_batch_norm_reference, torch.float64),
            (ops.embedding_concat_linear_batch_norm_reference, dtype),
            (ops.embedding_concat_linear_batch_norm, dtype),
        )
    )
    check_low_precision(found, stock, exact, 2, "output")


@pytest.mark.parametrize("size", ["published", "pairs are counted", "fewer examples than symbols"])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_only_where_needed(size: str, training: bool) -> None:
    batch, block, vocab, _, hidden = SIZES[size]
    tokens = symbols(batch, block, vocab)
    dy = normal(batch, hidden, seed=7)
    rest = training, 0.1, 1e-5, "tanh"

    def gradients(wanted: tuple[str, ...]) -> dict[str, Tensor]:
        values = [
            p.requires_grad_(n in wanted) for n, p in zip(NAMES, parameters(size, torch.float64), strict=True)
        ]
        running = statistics(hidden, torch.float64)
        y = call(ops.embedding_concat_linear_batch_norm, tokens, values, running, *rest)
        leaves = [v for v in values if v.requires_grad]
        return dict(zip(wanted, torch.autograd.grad(y, leaves, dy), strict=True))

    whole = gradients(NAMES)
    for wanted in (*((name,) for name in NAMES), NAMES[:3], NAMES[3:]):
        for name, grad in gradients(wanted).items():
            torch.testing.assert_close(grad, whole[name], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("batch", [3, 9])  # by the two operators, and by the kernel
def test_gradcheck_once_and_twice(training: bool, activation: str, batch: int) -> None:
    tokens = symbols(batch, 2, 5)
    shapes = (5, 2), (3, 4), (3,), (3,), (3,)
    values = [normal(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes)]

    def function(*changed: Tensor) -> Tensor:
        running = statistics(3, torch.float64)
        rest = training, 0.1, 1e-2, activation
        return call(ops.embedding_concat_linear_batch_norm, tokens, list(changed), running, *rest)

    assert torch.autograd.gradcheck(function, values)
    assert torch.autograd.gradgradcheck(function, values)


@pytest.mark.parametrize("size", ["published", "pairs are counted", "examples are walked over"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_bits_for_any_number_of_threads(
    size: str, dtype: torch.dtype, threads: Callable[[int], AbstractContextManager[None]]
) -> None:
    batch, block, vocab, _, hidden = SIZES[size]
    tokens = symbols(batch, block, vocab).repeat(8, 1)  # enough to be split
    values = [p.requires_grad_() for p in parameters(size, dtype)]
    dy = normal(8 * batch, hidden, seed=7, dtype=dtype)

    def run() -> list[Tensor]:
        running = statistics(hidden, dtype)
        y = call(ops.embedding_concat_linear_batch_norm, tokens, values, running, True, 0.1, 1e-5, "tanh")
        return [y.detach(), *running, *torch.autograd.grad(y, values, dy)]

    with threads(1):
        first = run()
    for count in (1, 2, 3, 16):
        with threads(count):
            assert all(map(torch.equal, first, run())), f"{count} threads"


# ---- what torch asks of an operator ----------------------------------------------------------------------------


def arguments(batch: int = 40, dtype: torch.dtype = torch.float32, grad: bool = False) -> list[Any]:
    shapes = (6, 4), (5, 12), (5,), (5,), (5,)
    table, linear, linear_bias, weight, bias = (
        normal(*shape, seed=seed, dtype=dtype).requires_grad_(grad) for seed, shape in enumerate(shapes)
    )
    return [symbols(batch, 3, 6), table, linear, linear_bias, *statistics(5, dtype), weight, bias]


@pytest.mark.parametrize("batch", [4, 40])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_opcheck(batch: int, training: bool, grad: bool) -> None:
    rest = training, 0.1, 1e-5, "tanh"
    torch.library.opcheck(
        LIBRARY.embedding_concat_linear_batch_norm.default, (*arguments(batch, grad=grad), *rest)
    )
    torch.library.opcheck(
        LIBRARY.embedding_concat_linear_batch_norm_forward.default, (*arguments(batch), *rest)
    )


@pytest.mark.parametrize("mask", [[True] * 5, [False, True, False, True, False], [False] * 3 + [True] * 2])
@pytest.mark.parametrize("batch", [4, 40])
def test_opcheck_backward(mask: list[bool], batch: int) -> None:
    tokens, table, linear, linear_bias, mean, var, weight, _ = arguments(batch)
    y = torch.tanh(normal(batch, 5, seed=5, dtype=torch.float32))
    values = (y * 2, tokens, table, linear, linear_bias, y, weight, mean, var, True, "tanh", mask)
    torch.library.opcheck(LIBRARY.embedding_concat_linear_batch_norm_backward.default, values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_fake_kernels_agree(dtype: torch.dtype) -> None:
    for op in (
        LIBRARY.embedding_concat_linear_batch_norm,
        LIBRARY.embedding_concat_linear_batch_norm_forward,
    ):
        values = [*arguments(dtype=dtype), True, 0.1, 1e-5, "none"]
        real = op(*values)
        with FakeTensorMode() as mode:
            fake = op(*(mode.from_tensor(v) if isinstance(v, Tensor) else v for v in values))
        if isinstance(real, Tensor):
            real, fake = (real,), (fake,)
        for r, f in zip(real, fake, strict=True):
            assert (r.shape, r.dtype, r.stride()) == (f.shape, f.dtype, f.stride())


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled_whole(dynamic: bool) -> None:
    torch._dynamo.reset()
    *values, running_mean, running_var, weight, bias = arguments()

    def step(tokens: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        return ops.embedding_concat_linear_batch_norm(
            tokens, *values[1:], mean, var, weight, bias, True, 0.1, 1e-5, "tanh"
        )

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for batch in (40, 3) if dynamic else (40,):
        tokens = symbols(batch, 3, 6)
        one, two = (
            [running_mean.clone(), running_var.clone()],
            [running_mean.clone(), running_var.clone()],
        )
        assert torch.equal(compiled(tokens, *one), step(tokens, *two))
        assert all(map(torch.equal, one, two))


def test_autocast_computes_as_the_two_operators_do() -> None:
    tokens, table, linear, linear_bias, mean, var, weight, bias = arguments()
    rest = True, 0.1, 1e-5, "tanh"
    with torch.autocast("cpu", torch.bfloat16):
        one = ops.embedding_concat_linear_batch_norm(
            tokens, table, linear, linear_bias, mean.clone(), var.clone(), weight, bias, *rest
        )
        z = ops.embedding_concat_linear(tokens, table, linear, linear_bias, "none")
        two = ops.batch_norm(z, mean.clone(), var.clone(), weight, bias, *rest)
    assert one.dtype == torch.bfloat16
    assert torch.equal(one, two)


def test_statistics_are_counted_as_changed() -> None:
    values = arguments()
    versions = values[4]._version, values[5]._version
    ops.embedding_concat_linear_batch_norm(*values, True, 0.1, 1e-5)
    assert values[4]._version > versions[0]
    assert values[5]._version > versions[1]


# ---- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "value", "error", "message"),
    [
        (0, torch.full((40, 3), 6), IndexError, r"tokens.*element 0 is 6.*0 <= token < 6"),
        (0, torch.zeros(40, 2, dtype=torch.int64), RuntimeError, "linear_weight must have"),
        (0, torch.zeros(3, dtype=torch.int64), RuntimeError, "tokens must have at least two dimensions"),
        (0, torch.zeros(1, 3, dtype=torch.int64), ValueError, "more than one context"),
        (2, torch.zeros(5, 12, dtype=torch.float64), RuntimeError, "linear_weight must have the dtype"),
        (4, None, ValueError, "running_mean and running_var must both be given"),
        (5, torch.zeros(4), RuntimeError, r"running_var must be \(C,\) = \(5,\)"),
        (6, torch.zeros(5, dtype=torch.float64), RuntimeError, "weight must have the dtype"),
        (7, torch.zeros(5, 1), RuntimeError, "bias must be"),
        (10, 0.0, ValueError, "eps must be positive"),
        (11, "relu", ValueError, "activation"),
    ],
)
def test_a_wrong_argument_is_named(position: int, value: Any, error: type[Exception], message: str) -> None:
    values = [*arguments(), True, 0.1, 1e-5, "tanh"]
    before = values[4].clone(), values[5].clone()
    changed = [*values]
    changed[position] = value
    with pytest.raises(error, match=message):
        ops.embedding_concat_linear_batch_norm(*changed)
    assert torch.equal(values[4], before[0])
    assert torch.equal(values[5], before[1])


def test_forward_mode_is_refused() -> None:
    values = arguments()
    with forward_ad.dual_level():
        values[1] = forward_ad.make_dual(values[1], torch.ones_like(values[1]))
        with pytest.raises(NotImplementedError, match="embedding_concat_linear_batch_norm"):
            ops.embedding_concat_linear_batch_norm(*values, True, 0.1, 1e-5)


def test_in_evaluation_the_statistics_are_needed() -> None:
    values = arguments()
    values[4] = None
    with pytest.raises(RuntimeError, match="running_mean must be given in evaluation"):
        ops.embedding_concat_linear_batch_norm(*values, False, 0.1, 1e-5)
