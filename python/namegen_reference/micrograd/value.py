"""A number that remembers how it was computed, and knows how the result changes with it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Real

from namegen_reference.micrograd import arithmetic


class Value:
    """A number in a graph of computations, with its gradient.

    Every operation makes a new Value. It holds the values that it was computed from, its ``operands``, and its
    derivative with respect to each of them at this point. So :meth:`backward` needs nothing but the chain rule.

    Results follow IEEE 754, as in torch: nothing raises OverflowError or ZeroDivisionError.

    - A result that is too large is infinite (``Value(1000).exp()``, ``Value(1) / 0``), and so is its derivative.
    - tanh is 1 or -1 at infinity, with derivative 0.
    - A result that does not exist is nan (0 / 0, the logarithm or a root of a negative number).
    - An infinite derivative times a gradient of 0 is nan, as it is in torch.

    Args:
        data: the number.
        label: a name for drawings.

    Attributes:
        data: the number, a float. An optimizer changes it between steps. Values that were already computed from it stay
            as they are.
        grad: after ``result.backward()``, the derivative of the result with respect to this value; before, 0.
        operands: the values that this one was computed from; empty for a given number.
        derivatives: the derivative of this value with respect to each operand.
        operation: the operation that computed this value: "+", "tanh" and so on; "" for a given number.
        label: a name for drawings.

    Raises:
        TypeError: data is not a real number.

    """

    __slots__ = ("data", "derivatives", "grad", "label", "operands", "operation")

    def __init__(self, data: Real | float, label: str = "") -> None:
        if not isinstance(data, Real):
            raise TypeError(f"data must be a real number, but got {data!r}")
        self.data = float(data)
        self.grad = 0.0
        self.operands: tuple[Value, ...] = ()
        self.derivatives: tuple[float, ...] = ()
        self.operation = ""
        self.label = label

    def backward(self) -> None:
        """Set ``grad`` of every value of the graph to the derivative of this value with respect to it.

        The gradients of the whole graph are first set to 0. So a second call, or a call on another result of the same
        parameters, gives its own gradients and not the sum of both. (torch adds to the gradients that are there. For
        the gradients of a sum of losses, call backward on the sum.) Values outside the graph keep their gradients.

        Time and memory grow with the size of the graph. There is no recursion, so the graph may be as deep as it likes.
        """
        order = list(self.graph())
        for value in order:
            value.grad = 0.0
        self.grad = 1.0
        for value in reversed(order):  # a value comes before its operands, so its own gradient is complete
            for operand, derivative in zip(value.operands, value.derivatives, strict=True):
                operand.grad += derivative * value.grad

    def graph(self) -> Iterator[Value]:
        """Yield every value that this one depends on. Each comes after all of its operands, and this one comes last."""
        seen: set[Value] = set()
        stack: list[tuple[Value, bool]] = [(self, False)]  # values, and whether their operands are done
        while stack:
            value, operands_are_done = stack.pop()
            if operands_are_done:
                yield value
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                stack.extend((operand, False) for operand in value.operands)

    # ---- Operations: the result, and its derivative with respect to each operand --------------------------

    def __add__(self, other: Value | float) -> Value:
        other = as_value(other)
        return computed(self.data + other.data, "+", (self, other), (1.0, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = as_value(other)
        return computed(self.data * other.data, "*", (self, other), (other.data, self.data))

    def __sub__(self, other: Value | float) -> Value:
        other = as_value(other)
        return computed(self.data - other.data, "-", (self, other), (1.0, -1.0))

    def __truediv__(self, other: Value | float) -> Value:
        other = as_value(other)
        quotient = arithmetic.divide(self.data, other.data)
        by_self = arithmetic.divide(1.0, other.data)
        by_other = -arithmetic.divide(quotient, other.data)
        return computed(quotient, "/", (self, other), (by_self, by_other))

    def __pow__(self, other: Value | float) -> Value:
        other = as_value(other)
        base, exponent = self.data, other.data
        result = arithmetic.power(base, exponent)
        by_base = exponent * arithmetic.power(base, exponent - 1) if exponent != 0 else 0.0
        # 0 to a power of 0 or more does not change with the power. For a negative power its logarithm is infinite.
        by_exponent = 0.0 if base == 0 and exponent >= 0 else result * arithmetic.log(base)
        return computed(result, "**", (self, other), (by_base, by_exponent))

    def __neg__(self) -> Value:
        return computed(-self.data, "neg", (self,), (-1.0,))

    def exp(self) -> Value:
        """Return e to the power of this value."""
        result = arithmetic.exp(self.data)
        return computed(result, "exp", (self,), (result,))

    def log(self) -> Value:
        """Return the natural logarithm."""
        return computed(arithmetic.log(self.data), "log", (self,), (arithmetic.divide(1.0, self.data),))

    def tanh(self) -> Value:
        """Return the hyperbolic tangent."""
        result = math.tanh(self.data)  # does not overflow, unlike the quotient of exponentials
        return computed(result, "tanh", (self,), (1.0 - result**2,))

    def relu(self) -> Value:
        """Return this value where it is positive, and 0 elsewhere. The derivative at 0 is taken to be 0."""
        is_off = self.data <= 0  # False for nan, which passes through
        return computed(0.0 if is_off else self.data, "relu", (self,), (0.0 if is_off else 1.0,))

    # ---- The same operations with a plain number on the left -----------------------------------------------

    def __radd__(self, other: float) -> Value:
        return as_value(other) + self

    def __rmul__(self, other: float) -> Value:
        return as_value(other) * self

    def __rsub__(self, other: float) -> Value:
        return as_value(other) - self

    def __rtruediv__(self, other: float) -> Value:
        return as_value(other) / self

    def __rpow__(self, other: float) -> Value:
        return as_value(other) ** self

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self.data}, grad={self.grad}{label})"


def as_value(number: Value | float) -> Value:
    """Turn a number into a Value; return a Value as it is."""
    return number if isinstance(number, Value) else Value(number)


def computed(
    data: float, operation: str, operands: tuple[Value, ...], derivatives: tuple[float, ...]
) -> Value:
    """Make the Value that is the result of an operation."""
    value = Value(data)
    value.operation, value.operands, value.derivatives = operation, operands, derivatives
    return value
