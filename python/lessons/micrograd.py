"""micrograd: an autograd engine of one number at a time, small enough to read whole."""

from __future__ import annotations

import random
from typing import Any

import torch

from namegen_reference.micrograd import MLP, SAMPLE_INPUTS, SAMPLE_TARGETS, Value, mean_squared_error
from namegen_reference.micrograd.training import descend

EXERCISES = [
    (
        "d = a * b + a at a = 2, b = 3. What are the gradients of a and b?",
        "b + 1 = 4, as a is used twice and both ways add up; and a = 2.",
    ),
    (
        "What would be wrong if backward() set a gradient instead of adding to it?",
        "A value that is used twice would keep the gradient of one way alone: in the exercise before, 1 "
        "or 3 for a.",
    ),
    (
        "tanh gave 0.9. Which share of the gradient does it pass back?",
        "1 - 0.9^2 = 0.19.",
    ),
]


def main() -> None:
    """Run the lesson."""
    graph()
    chain_rule_by_hand()
    against_torch()
    training()


def graph() -> None:
    """A Value remembers its operands, and its derivative with respect to each."""
    print("1. The graph: a Value remembers what it was computed from, and the derivative by each operand")
    a, b, c = Value(2.0, label="a"), Value(-3.0, label="b"), Value(10.0, label="c")
    product = a * b
    product.label = "a*b"
    total = product + c
    total.label = "total"
    for value in total.graph():
        operands = ", ".join(
            f"{operand.label} (derivative {derivative:g})"
            for operand, derivative in zip(value.operands, value.derivatives, strict=True)
        )
        print(f"   {value.label:<6}= {value.data:6g}   {'from ' + operands if operands else 'given'}")
    print("   backward() walks this list from its end\n")


def chain_rule_by_hand() -> None:
    """Go back through a neuron by hand."""
    print("2. A neuron o = tanh(w1*x1 + w2*x2 + b), backwards by hand")
    x1, x2, w1, w2, b = Value(2.0), Value(0.0), Value(-3.0), Value(1.0), Value(6.8813735870195432)
    n = w1 * x1 + w2 * x2 + b
    o = n.tanh()
    o.backward()
    # b was chosen so that o is 1/sqrt(2), which makes 1 - o^2 a half.
    through_tanh = 1 - o.data**2
    print(f"   o = {o.data:.4f}; through tanh the gradient is 1 - o^2 = {through_tanh:.4f}")
    print("   a sum passes it on as it is; a product, times the other factor:")
    for name, value, by_hand in (
        ("w1", w1, through_tanh * x1.data),
        ("x1", x1, through_tanh * w1.data),
        ("w2", w2, through_tanh * x2.data),
        ("x2", x2, through_tanh * w2.data),
    ):
        print(f"   {name}: by hand {by_hand:7.4f}, engine {value.grad:7.4f}")
    print("   w2 has no gradient, since its input is 0: it cannot be learnt from this example\n")


def against_torch() -> None:
    """Compute the same expression with the engine and with torch."""
    print("3. The same in torch")
    a, b = Value(-4.0), Value(2.0)
    result = expression(a, b)
    result.backward()
    tensor_a = torch.tensor(-4.0, dtype=torch.float64, requires_grad=True)
    tensor_b = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    expected = expression(tensor_a, tensor_b)
    grad_a, grad_b = torch.autograd.grad(expected, (tensor_a, tensor_b))
    print(f"   engine: g = {result.data:.4f}, dg/da = {a.grad:.4f}, dg/db = {b.grad:.4f}")
    print(f"   torch:  g = {expected.item():.4f}, dg/da = {grad_a.item():.4f}, dg/db = {grad_b.item():.4f}")
    print("   torch's tensors hold many numbers to each node of the graph; the idea is the same\n")


def expression(a: Any, b: Any) -> Any:
    """Compute an expression that uses many operations, from Values or from tensors."""
    c = a + b
    d = a * b + b**3
    c = c + c + 1
    c = c + 1 + c - a
    d = d + d * 2 + (b + a).relu()
    d = d + 3 * d + (b - a).relu()
    f = (c - d) ** 2
    return f / 2.0 + 10.0 / f


def training() -> None:
    """Train a network: forward, backward, update."""
    print("4. A network of neurons: forward, backward, update")
    model = MLP(3, [4, 4, 1], rng=random.Random(1))
    print(
        f"   3 inputs, layers of 4, 4 and 1: {len(model.parameters())} parameters; targets {SAMPLE_TARGETS}"
    )
    for step in range(61):
        predictions = [model(example)[0] for example in SAMPLE_INPUTS]  # (4,)
        loss = mean_squared_error(predictions, SAMPLE_TARGETS)
        if step % 20 == 0:
            answers = " ".join(f"{prediction.data:+.3f}" for prediction in predictions)
            size = sum(1 for _ in loss.graph())
            print(f"   step {step:2}: loss {loss.data:.6f}, answers {answers}   ({size} values in the graph)")
        loss.backward()  # starts from gradients of 0
        descend(model.parameters(), learning_rate=0.1)


if __name__ == "__main__":
    main()
