"""batch_norm against its readable reference: values, first gradients and running statistics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import op_bounds
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from op_inputs import LAYOUTS, check_low_precision, laid_out
from torch import Tensor

from namegen_ext import ops


@dataclass(frozen=True)
class Case:
    """One call. The shape of x is (*leading, channels)."""

    leading: tuple[int, ...]
    channels: int
    training: bool = True
    affine: bool = True
    bias: bool = True
    running: bool = True
    momentum: float = 0.1
    eps: float = 1e-5
    activation: str = "none"
    offset: float = 0.0  # of x, in standard deviations
    seed: int = 0
    x_layout: str = "contiguous"
    grad_layout: str = "contiguous"
    parameter_layout: str = "contiguous"

    def tensors(self, dtype: torch.dtype) -> dict[str, Tensor | None]:
        g = torch.Generator().manual_seed(self.seed)
        c, layout = self.channels, self.parameter_layout

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g, dtype=torch.float64)

        x = (normal(*self.leading, c) + self.offset) * (0.5 + torch.rand(c, generator=g, dtype=torch.float64))
        dy = normal(*self.leading, c).to(dtype)
        dy = dy[:1].expand(dy.shape) if self.grad_layout == "expanded" else laid_out(dy, self.grad_layout)
        mean, var = normal(c), 0.5 + torch.rand(c, generator=g, dtype=torch.float64)
        return {
            "x": laid_out(x.to(dtype), self.x_layout).requires_grad_(),
            "running_mean": laid_out(mean.to(dtype), layout) if self.running else None,
            "running_var": laid_out(var.to(dtype), layout) if self.running else None,
            "weight": laid_out(normal(c).to(dtype), layout).requires_grad_() if self.affine else None,
            "bias": laid_out(normal(c).to(dtype), layout).requires_grad_() if self.bias else None,
            "dy": dy,
        }


LEAVES = ("x", "weight", "bias")
RUNNING = ("running_mean", "running_var")


def run(case: Case, tensors: dict[str, Tensor | None], op=ops.batch_norm) -> dict[str, Tensor]:
    """Output, gradients and running statistics after one call; checks that nothing else changed."""
    given_ = {name: t for name, t in tensors.items() if t is not None}
    before = {name: t.detach().clone() for name, t in given_.items()}
    arguments = [tensors[name] for name in ("x", *RUNNING, "weight", "bias")]
    output = op(*arguments, case.training, case.momentum, case.eps, case.activation)
    saved = output.detach().clone()
    output.backward(tensors["dy"])
    assert torch.equal(output.detach(), saved), "backward changed the output"
    for name, t in given_.items():
        if name not in RUNNING or not case.training:
            assert torch.equal(t.detach(), before[name]), f"{name} was changed"
    found = {"output": output.detach()}
    found |= {name: given_[name].detach() for name in RUNNING if name in given_ and case.training}
    for name in LEAVES:
        if name in given_:
            assert given_[name].grad is not None
            found[name] = given_[name].grad
    return found


def exact(case: Case, tensors: dict[str, Tensor | None]) -> dict[str, op_bounds.Bounded]:
    """Of tensors that no call has changed yet."""
    arguments = [tensors[name] for name in ("x", *RUNNING, "weight", "bias")]
    return op_bounds.batch_norm(
        *arguments, case.training, case.momentum, case.eps, case.activation, tensors["dy"]
    )


def check(case: Case, dtype: torch.dtype) -> None:
    tensors = case.tensors(dtype)
    expected = exact(case, tensors)
    for name, value in run(case, tensors).items():
        assert value.dtype == dtype
        expected[name].check(value, f"{name} of {case}")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    training = draw(st.booleans())
    rows = draw(st.sampled_from([2, 3, 31, 32, 127, 128, 129]) | st.integers(2 if training else 0, 300))
    leading = draw(
        st.sampled_from(
            [(rows,), (1, rows), (rows, 1, 1)] + ([(2, rows // 2)] if rows % 2 == 0 and rows else [])
        )
    )
    return Case(
        leading=leading,
        channels=draw(st.sampled_from([1, 7, 8, 15, 16, 17, 63, 64, 65, 200]) | st.integers(1, 300)),
        training=training,
        affine=draw(st.booleans()),
        bias=draw(st.booleans()),
        running=not training or draw(st.booleans()),
        momentum=draw(st.sampled_from([0.0, 0.1, 1.0])),
        eps=draw(st.sampled_from([1e-5, 1e-3, 1.0])),
        activation=draw(st.sampled_from(["none", "tanh"])),
        offset=draw(st.sampled_from([0.0, 3.0, -20.0])),
        seed=draw(st.integers(0, 2**16)),
        x_layout=draw(st.sampled_from(LAYOUTS)),
        grad_layout=draw(st.sampled_from([*LAYOUTS, "expanded"])),
        parameter_layout=draw(st.sampled_from(LAYOUTS)),
    )


# Statistics are formed in pieces of 128 rows and in chunks of at least 256; of wide layers in groups of channels.
NAMED = {
    "published size": Case((32,), 200),
    "two rows": Case((2,), 5),
    "one piece and a row": Case((129,), 70, offset=5.0),
    "two chunks": Case((2049,), 33, offset=5.0),
    "sixteen chunks and more rows": Case((17_001,), 9, offset=-5.0),
    "many dimensions": Case((4, 3, 1, 5), 17),
    "one channel": Case((5000,), 1),
    "two groups of channels": Case((5,), 20_000),
}


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMED)
def test_named_sizes(name: str, dtype: torch.dtype, training: bool, activation: str) -> None:
    check(replace(NAMED[name], training=training, activation=activation), dtype)


def test_groups_of_channels_and_sixteen_chunks() -> None:
    check(Case((4100,), 2800, activation="tanh"), torch.float32)


@given(case=cases(), dtype=st.sampled_from([torch.float32, torch.float64]))
@example(case=Case((0,), 4, training=False, activation="tanh"), dtype=torch.float32)
@settings(max_examples=300)
def test_matches_the_reference(case: Case, dtype: torch.dtype) -> None:
    check(case, dtype)


@pytest.mark.long
@given(case=cases(), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=4000)
def test_matches_the_reference_at_length(case: Case, dtype: torch.dtype) -> None:
    check(case, dtype)


def check_low(case: Case, dtype: torch.dtype, parameter_dtype: torch.dtype) -> None:
    tensors = case.tensors(dtype)
    for name in (*RUNNING, "weight", "bias"):
        if (t := tensors[name]) is not None:
            tensors[name] = t.detach().to(parameter_dtype).requires_grad_(name in LEAVES)
    stock = {
        name: t.detach().clone().requires_grad_(t.requires_grad) if t is not None else None
        for name, t in tensors.items()
    }
    expected = exact(case, tensors)
    before = {name: t.detach().clone() for name in RUNNING if (t := tensors[name]) is not None}
    found = run(case, tensors)
    by_torch = run(case, stock, ops.batch_norm_reference)
    for name, value in found.items():
        factor = 2 if name in ("output", *RUNNING) else 3
        # Parameters kept in float32 still only see x, dy and y as these were rounded.
        unit = dtype if name in LEAVES else None
        roundings = update_roundings(case, before[name], expected[name].value) if name in RUNNING else 0.0
        check_low_precision(
            value, by_torch[name], expected[name].value, factor, f"{name} of {case}", unit, roundings
        )


def update_roundings(case: Case, old: Tensor, moved: Tensor) -> Tensor:
    """What (1 - momentum) * old + momentum * new may be off by in float32, in which it is computed.

    That is four roundings: of each product, of their sum, and of the factor n / (n - 1). PyTorch makes them too, but in
    its sums they may cancel, and in another order of summation, such as that of shorter vectors, they may not.
    """
    kept = (1 - case.momentum) * old.double()
    return 4 * torch.finfo(torch.float32).eps / 2 * (kept.abs() + (moved - kept).abs())


@given(case=cases(), dtype=st.sampled_from([torch.bfloat16, torch.float16]), wide=st.booleans())
@settings(max_examples=200)
def test_low_precision_errs_no_more_than_twice_as_pytorch(case: Case, dtype: torch.dtype, wide: bool) -> None:
    check_low(case, dtype, torch.float32 if wide else dtype)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMED)
def test_low_precision_of_named_sizes(name: str, dtype: torch.dtype, wide: bool) -> None:
    check_low(NAMED[name], dtype, torch.float32 if wide else dtype)


def test_constant_channel_gives_the_bias() -> None:
    # 0.75 sums exactly, so its variance is exactly 0 and eps alone divides.
    x = torch.full((40, 3), 0.75, requires_grad=True)
    bias = torch.tensor([1.0, -2.0, 0.5])
    y = ops.batch_norm(x, None, None, torch.ones(3), bias, True, 0.1, 1e-5)
    assert torch.equal(y, bias.expand(40, 3))
    y.sum().backward()
    assert torch.equal(x.grad, torch.zeros(40, 3))


@pytest.mark.parametrize("offset", [100.0, 1e4])
def test_large_offset_errs_no_more_than_twice_as_pytorch(offset: float) -> None:
    # The condition number of the variance is (offset / deviation)^2: a one-pass formula would lose
    # everything.
    x = torch.randn(3000, 8, generator=torch.Generator().manual_seed(1)) + offset
    arguments = (None, None, None, None, True, 0.1, 1e-5)
    reference = ops.batch_norm_reference(x.double(), *arguments)
    stock = ops.batch_norm_reference(x, *arguments)
    check_low_precision(ops.batch_norm(x, *arguments), stock, reference, 2, "output")


@pytest.mark.parametrize("training", [True, False])
def test_empty_batch_changes_nothing(training: bool) -> None:
    x = torch.empty(0, 4, requires_grad=True)
    mean, var = torch.zeros(4), torch.ones(4)
    weight = torch.ones(4, requires_grad=True)
    y = ops.batch_norm(x, mean, var, weight, None, training, 0.1, 1e-5, "tanh")
    y.sum().backward()
    assert y.shape == (0, 4)
    assert torch.equal(mean, torch.zeros(4))
    assert torch.equal(var, torch.ones(4))
    assert torch.equal(weight.grad, torch.zeros(4))
    assert x.grad.shape == (0, 4)


def test_expanded_input_and_parameters() -> None:
    x = torch.randn(1, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(5, 3, 6)
    weight = torch.tensor(2.0, dtype=torch.float64).expand(6)
    arguments = (torch.zeros(6).double(), torch.ones(6).double(), weight, None, False, 0.1, 1e-5, "tanh")
    found, expected = ops.batch_norm(x, *arguments), ops.batch_norm_reference(x, *arguments)
    torch.testing.assert_close(
        found, expected, rtol=1e-14, atol=1e-14
    )  # a handful of roundings of values near 1
