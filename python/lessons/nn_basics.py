"""nn basics: layers, activations, losses, and the loop that trains them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

EXERCISES = [
    (
        "How many parameters have nn.Linear(30, 200) and nn.Linear(200, 27) together?",
        "30 * 200 + 200 + 200 * 27 + 27 = 11,627.",
    ),
    (
        "All 27 logits are 5. What does the right class cost?",
        "log 27 = 3.2958. Equal logits are equal probabilities, however large they are.",
    ),
    (
        "Three linear layers without activations do not learn XOR. Why?",
        "Their product is one matrix, so they are one linear layer, and no straight line parts the four "
        "points.",
    ),
]


def main() -> None:
    """Run the lesson."""
    linear()
    activations()
    losses()
    training_loop()


def linear() -> None:
    """nn.Linear is a matrix product and a bias."""
    print("1. nn.Linear(in, out) holds weight (out, in) and bias (out,), and computes x @ weight.T + bias")
    torch_linear = seeded_linear(3, 4)
    x = torch.tensor([[1.0, -1.0, 2.0], [0.0, 0.5, 0.0]])  # (B=2, in=3)
    by_hand = x @ torch_linear.weight.T + torch_linear.bias  # (2, 4)
    difference = (torch_linear(x) - by_hand).abs().max()
    count = sum(parameter.numel() for parameter in torch_linear.parameters())
    print(f"   (2, 3) goes in, {tuple(by_hand.shape)} comes out; by hand the same to {difference:.0e}")
    print(f"   parameters: 3 * 4 + 4 = {count}")
    first, second = seeded_linear(3, 8), seeded_linear(8, 4, bias=False)
    merged = second.weight @ first.weight  # (4, 8) @ (8, 3)
    bias = second.weight @ first.bias  # (4,)
    difference = (second(first(x)) - (x @ merged.T + bias)).abs().max()
    print(f"   two of them in a row are still one linear layer (difference {difference:.0e}):")
    print("   something that is not linear has to stand between them\n")


def activations() -> None:
    """The slope of an activation decides how much gradient passes."""
    print("2. Activations: value and slope. Where the slope is 0, no gradient passes and nothing is learnt")
    functions: dict[str, nn.Module] = {
        "ReLU": nn.ReLU(),  # max(0, x)
        "LeakyReLU": nn.LeakyReLU(0.1),  # below 0 a slope of 0.1 remains
        "ELU": nn.ELU(),  # exp(x) - 1 below 0: smooth, down to -1
        "GELU": nn.GELU(),  # x times the probability that a standard normal lies below x
        "SiLU": nn.SiLU(),  # x times sigmoid(x)
        "Tanh": nn.Tanh(),
        "Sigmoid": nn.Sigmoid(),
    }
    points = (-3.0, -1.0, 0.5, 3.0)
    print(f"   {'x':<10}" + "".join(f"{point:>16g}" for point in points))
    for name, function in functions.items():
        x = torch.tensor(points, requires_grad=True)  # (4,)
        y = function(x)  # (4,)
        (slope,) = torch.autograd.grad(y.sum(), x)
        cells = [f"{value:8.3f} ({derivative:5.3f})" for value, derivative in zip(y, slope, strict=True)]
        print(f"   {name:<10}" + "".join(f"{cell:>16}" for cell in cells))
    print("   ReLU passes all or nothing; tanh and sigmoid pass little on both sides (they saturate)\n")


def losses() -> None:
    """Numbers have the mean squared error, classes the cross-entropy."""
    print("3. Losses: one number that says how wrong the outputs are")
    predictions, targets = torch.tensor([2.5, 0.0]), torch.tensor([3.0, -1.0])  # (2,), (2,)
    by_hand = ((predictions - targets) ** 2).mean()
    print(f"   mean squared error {F.mse_loss(predictions, targets):.4f}; by hand {by_hand:.4f}")

    logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 0.0, 0.0]])  # (N=2, C=3)
    classes = torch.tensor([0, 2])  # (2,)
    probabilities = logits.exp() / logits.exp().sum(1, keepdim=True)  # (2, 3) softmax
    by_hand = -probabilities[range(2), classes].log().mean()
    print(
        f"   cross-entropy {F.cross_entropy(logits, classes):.4f}; by hand, -log softmax of the right one {by_hand:.4f}"
    )
    print(f"   equal logits for 3 classes cost log 3 = {math.log(3):.4f}: what knowing nothing costs")
    huge = torch.tensor([[1000.0, 0.0]])  # (1, 2)
    naive = huge.exp() / huge.exp().sum()  # (1, 2)
    print(
        f"   logits of 1000: exp overflows by hand ({naive[0, 0].item()}), F.cross_entropy subtracts the largest first"
        f" ({F.cross_entropy(huge, torch.tensor([1])).item():g})"
    )

    logit, label = torch.tensor([0.3]), torch.tensor([1.0])  # (1,), (1,)
    two_classes = F.cross_entropy(torch.tensor([[0.0, 0.3]]), torch.tensor([1]))
    binary = F.binary_cross_entropy_with_logits(logit, label)
    print(f"   two classes: binary cross-entropy of one logit {binary:.4f},")
    print(f"   cross-entropy of the logits (0, that logit) {two_classes:.4f}\n")


def training_loop() -> None:
    """Train on XOR. No line separates its classes, but a hidden layer does."""
    print("4. The loop: forward, zero_grad, backward, step. On XOR, which no straight line can part:")
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])  # (4, 2)
    classes = torch.tensor([0, 1, 1, 0])  # (4,)
    models = {
        "one linear layer": nn.Sequential(seeded_linear(2, 2)),
        "a hidden layer of 8": nn.Sequential(seeded_linear(2, 8), nn.Tanh(), seeded_linear(8, 2)),
    }
    for name, model in models.items():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(300):
            loss = F.cross_entropy(model(x), classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        num_right = (model(x).argmax(1) == classes).sum()
        print(f"   {name:<20} loss {loss.item():.4f}, {num_right} of 4 right")


def seeded_linear(num_inputs: int, num_outputs: int, bias: bool = True) -> nn.Linear:
    """Make a linear layer with weights that are the same each time. torch's own generator is not changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(num_inputs * 100 + num_outputs)
        return nn.Linear(num_inputs, num_outputs, bias=bias)


if __name__ == "__main__":
    main()
