"""The scalar engine against torch in doubles."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from namegen_reference.micrograd import Value

# Both compute in doubles with the same formulas up to the last bits (2^-53 = 1.1e-16) of a few operations.
TOLERANCE = 1e-9

UNARY: dict[str, tuple[Callable[[Value], Value], Callable[[torch.Tensor], torch.Tensor]]] = {
    "neg": (operator.neg, operator.neg),
    "exp": (Value.exp, torch.exp),
    "log": (Value.log, torch.log),
    "tanh": (Value.tanh, torch.tanh),
    "relu": (Value.relu, torch.relu),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
}
SPECIAL = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 700.0, -700.0, 1000.0, -1000.0),
    *(1e-320, 1e300, -1e300, math.inf, -math.inf, math.nan),
]


def leaf(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float64, requires_grad=True)


def same(actual: float, expected: float) -> bool:
    """Equal to TOLERANCE, infinities and nan included."""
    if math.isnan(expected) or math.isinf(expected):
        return repr(actual) == repr(expected)
    return math.isclose(actual, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("number", SPECIAL)
def test_one_operand_equals_torch(name: str, number: float) -> None:
    ours, theirs = UNARY[name]
    value, tensor = Value(number), leaf(number)
    result, expected = ours(value), theirs(tensor)
    result.backward()
    expected.backward()
    assert same(result.data, expected.item()), (result.data, expected.item())
    assert tensor.grad is not None
    assert same(value.grad, tensor.grad.item()), (value.grad, tensor.grad.item())


@pytest.mark.parametrize("name", BINARY)
def test_two_operands_equal_torch(name: str) -> None:
    operation = BINARY[name]
    for left, right in itertools.product(SPECIAL, repeat=2):
        values = Value(left), Value(right)
        tensors = leaf(left), leaf(right)
        result, expected = operation(*values), operation(*tensors)
        result.backward()
        expected.backward()
        assert same(result.data, expected.item()), (left, right, result.data, expected.item())
        for value, tensor in zip(values, tensors, strict=True):
            assert tensor.grad is not None
            assert same(value.grad, tensor.grad.item()), (left, right, value.grad, tensor.grad.item())


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("number", [2, 0.5, True, Fraction(3, 2)])
def test_plain_numbers_on_either_side(name: str, number: Any) -> None:
    operation = BINARY[name]
    value = Value(1.75)
    for result, expected in (
        (operation(value, number), operation(Value(1.75), Value(number))),
        (operation(number, value), operation(Value(number), Value(1.75))),
    ):
        result.backward()
        expected.backward()
        assert result.data == expected.data == operation(*(operand.data for operand in expected.operands))
        varied = expected.operands[0] if expected.operands[0].data == 1.75 else expected.operands[1]
        assert value.grad == varied.grad


EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "y"]),
    lambda inner: (
        st.tuples(st.sampled_from(["add", "sub", "mul", "div"]), inner, inner)
        | st.tuples(st.sampled_from(["tanh", "relu", "neg"]), inner)
    ),
    max_leaves=12,
)


def evaluate(expression: Any, x: Any, y: Any, column: int) -> Any:
    """Compute an expression of Values (column 0) or of tensors (column 1)."""
    if isinstance(expression, str):
        return x if expression == "x" else y
    name, *operands = expression
    results = [evaluate(operand, x, y, column) for operand in operands]
    return BINARY[name](*results) if name in BINARY else UNARY[name][column](*results)


@given(expression=EXPRESSIONS, x=st.floats(-3, 3), y=st.floats(0.125, 3))
def test_expressions_equal_torch(expression: Any, x: float, y: float) -> None:
    values, tensors = (Value(x), Value(y)), (leaf(x), leaf(y))
    result = evaluate(expression, *values, 0)
    expected = evaluate(expression, *tensors, 1)
    result.backward()
    expected.backward()
    numbers = [expected.item(), *(0.0 if tensor.grad is None else tensor.grad.item() for tensor in tensors)]
    # Where a quotient has blown up, the last bits of what was divided are all that is left: not compared.
    if all(abs(number) < 1e3 for number in numbers):
        for actual, number in zip((result.data, values[0].grad, values[1].grad), numbers, strict=True):
            assert actual == pytest.approx(number, rel=TOLERANCE, abs=1e-6)


def test_published_example() -> None:
    x, y = Value(2), Value(3)
    z = x * x * y
    z.backward()
    assert (z.data, x.grad, y.grad) == (12, 12, 4)


def test_classic_expression() -> None:
    a, b = Value(-4.0), Value(2.0)
    c = a + b
    d = a * b + b**3
    c = c + c + 1
    c = c + 1 + c - a
    d = d + d * 2 + (b + a).relu()
    d = d + 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g = g + 10.0 / f
    g.backward()
    # Published to four decimals.
    assert g.data == pytest.approx(24.7041, abs=5e-5)
    assert a.grad == pytest.approx(138.8338, abs=5e-5)
    assert b.grad == pytest.approx(645.5773, abs=5e-5)


def test_a_value_used_twice_has_the_sum_of_both_ways() -> None:
    a = Value(3)
    b = a + a
    (b * a).backward()
    assert a.grad == 4 * 3  # d(2 a^2)/da


def test_a_second_backward_does_not_count_double() -> None:
    x, y = Value(2), Value(3)
    z = x * x * y
    z.backward()
    z.backward()
    assert (x.grad, y.grad, z.grad) == (12, 4, 1)
    (z + y).backward()  # another result of the same values
    assert (x.grad, y.grad) == (12, 5)


def test_values_outside_the_graph_keep_their_gradients() -> None:
    x, y = Value(2), Value(3)
    (x * 5).backward()
    (y * 7).backward()
    assert (x.grad, y.grad) == (5, 7)


def test_a_chain_of_100_000_operations() -> None:
    x = Value(0.25)
    chain = x
    for _ in range(50_000):
        chain = (chain + 1) - 1  # exact in doubles
    chain.backward()
    assert (chain.data, x.grad) == (0.25, 1)
    assert sum(1 for _ in chain.graph()) == 200_001  # two operations, each with a constant, and x
    del chain  # freed without a deep recursion too


def test_a_lattice_takes_time_by_its_size_and_not_by_its_paths() -> None:
    x = Value(1)
    result = x
    for _ in range(200):  # 2^200 paths from the result to x
        result = result + result
    result.backward()
    assert x.grad == 2.0**200


def test_backward_uses_the_numbers_of_the_time_of_computing() -> None:
    x = Value(3)
    square = x * x
    x.data = 100.0
    square.backward()
    assert (square.data, x.grad) == (9, 6)


@pytest.mark.parametrize("wrong", ["1", None, 1j, [1.0]])
def test_what_is_no_real_number(wrong: Any) -> None:
    with pytest.raises(TypeError, match="data must be a real number, but got"):
        Value(wrong)
    with pytest.raises(TypeError, match="data must be a real number, but got"):
        Value(1) * wrong


def test_repr() -> None:
    assert repr(Value(2, label="x")) == "Value(data=2.0, grad=0.0, label='x')"
