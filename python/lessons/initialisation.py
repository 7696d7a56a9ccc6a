"""Initialisation and batch norm: keeping every layer's numbers of a size at which it can learn."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from namegen_ext.plotting.lesson_figure import draw_figure

SEED = 2147483647
VOCAB_SIZE = 27

EXERCISES = [
    (
        "A tanh layer has 400 inputs. By which factor are its normal weights multiplied?",
        "(5/3) / sqrt(400) = 0.0833.",
    ),
    (
        "Every batch has mean 5. What is the running mean after 10 batches with momentum 0.1, from 0?",
        "5 * (1 - 0.9^10) = 3.2566.",
    ),
    (
        "One example goes through batch norm while training. What goes wrong?",
        "Its variance over a batch of one is 0, and every channel becomes the bias. In evaluation the "
        "running statistics are used.",
    ),
]


def main() -> None:
    """Run the lesson."""
    first_loss()
    saturation()
    depth()
    batch_norm_by_hand()
    running_statistics()
    the_useless_bias()


def normal(*shape: int, seed: int = SEED) -> torch.Tensor:
    """Draw standard normal numbers. They are the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def first_loss() -> None:
    """Before training, all symbols should be equally likely."""
    print("1. The first loss: confident and wrong costs more than knowing nothing")
    hidden = normal(1000, 200).tanh()  # (B, H)
    targets = torch.arange(1000) % VOCAB_SIZE  # (B,)
    weight = normal(200, VOCAB_SIZE, seed=1)  # (H, V)
    for factor in (1.0, 0.1, 0.01):
        logits = hidden @ (weight * factor)  # (B, V)
        loss = F.cross_entropy(logits, targets)
        print(f"   output weights times {factor:4g}: logits of size {logits.std():7.4f}, loss {loss:.4f}")
    print(
        f"   all symbols equally likely: log 27 = {math.log(VOCAB_SIZE):.4f}. Training from above that is spent on"
    )
    print("   making the logits smaller first\n")


def saturation() -> None:
    """Where tanh is flat, hardly any gradient passes back."""
    print(
        "2. Saturation: tanh passes back 1 - tanh^2 of the gradient, next to nothing where it is near 1 or -1"
    )
    x = normal(1000, 30)  # (B, in) 3 embeddings of 10
    weight = normal(30, 200, seed=2)  # (in, H)
    outputs: dict[str, torch.Tensor] = {}
    for name, factor in (("1", 1.0), ("(5/3) / sqrt(30)", (5 / 3) / math.sqrt(30)), ("0.01", 0.01)):
        h = torch.tanh(x @ (weight * factor))  # (B, H)
        outputs[name] = h.flatten()
        saturated = (h.abs() > 0.97).float().mean() * 100
        passed = (1 - h**2).mean()
        print(
            f"   weights times {name:<17}: std {h.std():.3f}, beyond 0.97 {saturated:5.1f}%, passed back {passed:.3f}"
        )
    print("   at 0.01 nothing is saturated, but the layer has become linear, and small")

    def draw_outputs(axes: Any) -> None:
        for name, values in outputs.items():
            axes.hist(
                values.numpy(), bins=60, range=(-1, 1), density=True, histtype="step", label=f"times {name}"
            )
        axes.set(xlabel="output of tanh", ylabel="density", title="where the outputs of a tanh layer lie")
        axes.set_ylim(0, 5)
        axes.legend()

    draw_figure("initialisation", draw_outputs)
    print()


def depth() -> None:
    """Each layer multiplies the size of the numbers, and many layers multiply it many times."""
    print(
        "3. Depth: the standard deviation after each of six layers of 100, weights normal * gain / sqrt(fan_in)"
    )
    for name, gain, activation in (
        ("linear, gain 1", 1.0, nn.Identity()),
        ("tanh, gain 1", 1.0, nn.Tanh()),
        ("tanh, gain 5/3", 5 / 3, nn.Tanh()),
        ("relu, gain sqrt 2", math.sqrt(2), nn.ReLU()),
        ("linear, no scaling", 10.0, nn.Identity()),
    ):
        x = normal(1000, 100)  # (B, 100)
        sizes = []
        for layer in range(6):
            x = activation(x @ (normal(100, 100, seed=layer) * gain / math.sqrt(100)))  # (B, 100)
            sizes.append(x.std().item())
        print(f"   {name:<20}" + " ".join(f"{size:10.4g}" for size in sizes))
    print(
        "   a sum of n products has a variance n times as large, hence 1 / sqrt(fan_in); tanh shrinks what it is"
    )
    print("   given, ReLU drops half: the gain makes up for it (He et al. 2015)\n")


def batch_norm_by_hand() -> None:
    """Batch norm sets the size of the numbers, where initialisation can only hope for it."""
    print(
        "4. Batch norm by hand: each channel is brought to mean 0 and variance 1 over the batch, then gain and bias"
    )
    x = normal(32, 4) * torch.tensor([0.1, 1.0, 5.0, 20.0]) + 3  # (B, C)
    layer = nn.BatchNorm1d(4)
    mean = x.mean(0, keepdim=True)  # (1, C)
    variance = x.var(0, keepdim=True, correction=0)  # (1, C), divided by n
    by_hand = (x - mean) / torch.sqrt(variance + layer.eps) * layer.weight + layer.bias  # (B, C)
    difference = (by_hand - layer(x)).abs().max()
    before, after = x.std(0, correction=0), by_hand.std(0, correction=0)  # (C,), (C,)
    print(f"   std of the channels before {numbers(before)}, after {numbers(after)}")
    print(f"   largest difference to torch.nn.BatchNorm1d: {difference:.1e}")
    unbiased = (x - mean) / torch.sqrt(
        x.var(0, keepdim=True) + layer.eps
    )  # (B, C), its variance divided by n - 1
    print(
        f"   with the variance divided by n - 1 it would be {(unbiased / by_hand).mean():.5f} times that:"
        f" sqrt(31/32) = {math.sqrt(31 / 32):.5f}\n"
    )


def running_statistics() -> None:
    """A single name has no batch, so the running statistics replace those of the batch."""
    print("5. In evaluation the running mean and variance stand in for the batch's")
    layer = nn.BatchNorm1d(1, momentum=0.1)
    for step in range(100):
        layer(normal(32, 1, seed=step) * 2 + 5)  # (B, 1), normal with mean 5 and variance 4
        if step in (0, 9, 99):
            mean, variance = layer.running_mean, layer.running_var
            assert mean is not None
            assert variance is not None
            print(
                f"   after {step + 1:3} batches: running mean {mean.item():.3f}, variance {variance.item():.3f}"
            )
    layer.eval()
    print("   they were drawn with mean 5 and variance 4; running = 0.9 * running + 0.1 * batch")
    print(
        f"   one number alone, 7, a standard deviation above the mean: {layer(torch.tensor([[7.0]])).item():.3f}\n"
    )


def the_useless_bias() -> None:
    """Batch norm subtracts the mean, and with it the bias that the layer before adds to a channel."""
    print("6. A bias just before batch norm does nothing: the mean takes it away again")
    x = normal(32, 8).double()  # (B, in)
    weight = normal(8, 4, seed=1).double()  # (in, C)
    bias = torch.zeros(4, dtype=torch.float64, requires_grad=True)  # (C,)
    output = F.batch_norm(x @ weight + bias, None, None, training=True)  # (B, C)
    (gradient,) = torch.autograd.grad((output * normal(32, 4, seed=3)).sum(), bias)  # (C,)
    print(
        f"   its gradient is 0: {gradient.abs().max():.0e}. Leave it out (bias=False); batch norm has its own"
    )


def numbers(tensor: torch.Tensor) -> str:
    """Write the numbers of a tensor (n,) for printing."""
    return " ".join(f"{number:.3f}" for number in tensor.tolist())


if __name__ == "__main__":
    main()
