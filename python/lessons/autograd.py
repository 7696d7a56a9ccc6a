"""Autograd: how much would the result change, if this number changed a little?"""

from __future__ import annotations

import torch

EXERCISES = [
    (
        "f = x * x + x at x = 3 is computed and f.backward() called, twice, without zeroing. What is "
        "x.grad after each?",
        "7, as df/dx = 2x + 1; then 14, because the second gradient is added.",
    ),
    (
        "Beyond which learning rate does descent on f(w) = 2 (w - 3)^2 move away from 3?",
        "0.5. The gradient is 4 (w - 3), so each step multiplies the distance by 1 - 4 * rate, which is "
        "below -1 from there.",
    ),
    (
        "A loop keeps `total += loss` for a mean to print. Why does its memory grow?",
        "Each loss holds the graph that it was computed by. loss.item() is a plain number and holds nothing.",
    ),
]


def main() -> None:
    """Run the lesson."""
    derivative_as_slope()
    chain_rule()
    accumulation()
    update_rule()
    leaving_the_graph()


def derivative_as_slope() -> None:
    """Compute the gradients of z = x*x*y, and find the same by nudging x and y."""
    print("1. A gradient is a slope")
    x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    z = x * x * y
    z.backward()
    print(f"   z = x*x*y at x=2, y=3 is {z.item():g}")
    print(f"   z.backward() gives dz/dx = 2xy = {gradient_of(x):g} and dz/dy = x*x = {gradient_of(y):g}")
    h = 1e-6
    nudged_x = ((2 + h) * (2 + h) * 3 - (2 - h) * (2 - h) * 3) / (2 * h)
    nudged_y = (2 * 2 * (3 + h) - 2 * 2 * (3 - h)) / (2 * h)
    print(f"   nudged by {h:g} both ways: {nudged_x:.6f} and {nudged_y:.6f}")
    print("   nudging costs two evaluations for each number; backward() one pass for all of them\n")


def chain_rule() -> None:
    """Each operation knows its own derivative. The chain rule multiplies along each path and adds up the paths."""
    print("2. The chain rule: multiply along a way, add up the ways")
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    u = x**2
    v = torch.sin(u)
    result = v * x  # x enters twice: through v, and directly
    result.backward()
    through_v = x.item() * u.cos().item() * 2 * x.item()  # d result/dv * dv/du * du/dx
    directly = v.item()
    print("   result = sin(x^2) * x at x = 0.5")
    print(f"   through v:  x * cos(x^2) * 2x = {through_v:.6f}")
    print(f"   directly:   sin(x^2)          = {directly:.6f}")
    print(f"   their sum {through_v + directly:.6f}; autograd {gradient_of(x):.6f}\n")


def accumulation() -> None:
    """torch adds to .grad. The engine of namegen_reference sets .grad to 0 before each backward()."""
    print("3. torch adds each backward() to what .grad already holds")
    x = torch.tensor(2.0, requires_grad=True)
    for times in (1, 2):
        (x * x).backward()
        print(f"   after {times} backward() of x*x: x.grad = {gradient_of(x):g}")
    x.grad = None
    (x * x).backward()
    print(f"   after x.grad = None (what optimizer.zero_grad() does) and one more: {gradient_of(x):g}")
    print("   forgetting it is the commonest mistake in a training loop\n")


def update_rule() -> None:
    """An update moves the number against its gradient. The learning rate says how far."""
    print("4. The update rule: w = w - learning_rate * gradient")
    print("   f(w) = (w - 3)^2 has its minimum at 3; from w = 0:")
    for learning_rate in (0.1, 0.9, 1.1):
        w = torch.tensor(0.0, requires_grad=True)
        path = []
        for _ in range(6):
            loss = (w - 3) ** 2
            w.grad = None
            loss.backward()
            with torch.no_grad():  # the update itself is not part of the graph
                w -= learning_rate * gradient_of(w)
            path.append(w.item())
        verdict = "nearer each step" if abs(path[-1] - 3) < abs(path[0] - 3) else "further off each step"
        print(f"   rate {learning_rate}: " + " ".join(f"{w:7.3f}" for w in path) + f"   {verdict}")
    print("   each step multiplies the distance by 1 - 2 * rate: beyond a rate of 1 that grows\n")


def leaving_the_graph() -> None:
    """A result that is computed without a graph takes no memory for one, and has no gradient."""
    print("5. Leaving the graph")
    x = torch.tensor(2.0, requires_grad=True)
    with torch.no_grad():
        silent = x * x
    print(f"   computed under no_grad(): requires_grad = {silent.requires_grad}")
    (x * x.detach()).backward()  # the second factor counts as a plain number
    print(f"   x * x.detach(): x.grad = {gradient_of(x):g}, half of that of x * x")


def gradient_of(tensor: torch.Tensor) -> float:
    """Return the gradient of a tensor of one number."""
    if tensor.grad is None:
        raise ValueError("tensor must have a gradient: call backward() first")
    return tensor.grad.item()


if __name__ == "__main__":
    main()
