"""A number that remembers how it was computed, and what its change would do to the result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Real

from namegen_reference.micrograd import arithmetic


class Value:
    """A number in a graph of computations, with its gradient.

    Every operation makes a new Value that holds the values it was computed from, its ``operands``, and the
    derivative of the result by each of them at this point. :meth:`backward` then needs the chain rule only.

    Results are those of IEEE 754 arithmetic, as in torch: nothing raises OverflowError or ZeroDivisionError.
    What is too large is infinite (``Value(1000).exp()``, ``Value(1) / 0``), and so is its derivative; tanh is
    1 or -1 at infinity, with derivative 0; what has no value is nan (the logarithm or a root of a negative
    number, 0 / 0), and an infinite derivative times a gradient of 0 is nan, as it is in torch.

    Args:
        data: the number.
        label: a name for drawings.

    Attributes:
        data: the number, a float. Change it between steps as an optimizer does; what was already computed
            from it stays as it is.
        grad: after ``result.backward()``, the derivative of the result by this value; before, 0.
        operands: the values this one was computed from; empty for one that was given.
        derivatives: for each operand, the derivative of this value by it.
        operation: what computed this value: "+", "tanh" and so on; "" for one that was given.
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
        """Set ``grad`` of every value that this one was computed from to the derivative of this one by it.

        The gradients of the whole graph are first set to 0, so that calling it again, or calling it on another
        result of the same parameters, gives the right gradients and not the sum of both. (torch adds to what
        is there. To have the gradients of a sum of losses, call backward on the sum.) Values outside the
        graph keep their gradients.

        It takes the graph's size in time and memory, with no recursion: its depth does not matter.
        """
        order = list(self.graph())
        for value in order:
            value.grad = 0.0
        self.grad = 1.0
        for value in reversed(order):  # each value before its operands: its own gradient is then complete
            for operand, derivative in zip(value.operands, value.derivatives, strict=True):
                operand.grad += derivative * value.grad

    def graph(self) -> Iterator[Value]:
        """Yield every value that this one depends on, itself last, each after all of its operands."""
        seen: set[Value] = set()
        stack: list[tuple[Value, bool]] = [(self, False)]  # a value, and whether its operands are done
        while stack:
            value, operands_are_done = stack.pop()
            if operands_are_done:
                yield value
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                stack.extend((operand, False) for operand in value.operands)

    # ---- Operations: the result, and the derivative by each operand ---------------------------------------

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
        # 0 to any power from 0 on does not change with the power; below, its logarithm is infinite.
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
        """Return this value where it is positive, else 0. Its derivative at 0 is taken to be 0."""
        is_off = self.data <= 0  # nan is not, and passes
        return computed(0.0 if is_off else self.data, "relu", (self,), (0.0 if is_off else 1.0,))

    # ---- The same with a plain number on the left ----------------------------------------------------------

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
    """Return a number as a Value; a Value as it is."""
    return number if isinstance(number, Value) else Value(number)


def computed(
    data: float, operation: str, operands: tuple[Value, ...], derivatives: tuple[float, ...]
) -> Value:
    """Make the Value that an operation results in."""
    value = Value(data)
    value.operation, value.operands, value.derivatives = operation, operands, derivatives
    return value
