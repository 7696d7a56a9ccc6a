"""Neurons, layers and multi-layer perceptrons made of Values."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from namegen_reference.micrograd.value import Value, as_value

ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "none": lambda value: value,
    "relu": Value.relu,
    "tanh": Value.tanh,
}


class Module:
    """Something with parameters."""

    def parameters(self) -> list[Value]:
        """Return the values that training changes."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Set the parameters' gradients to 0.

        ``Value.backward`` does this for the parameters that the loss depends on. This method is for the others.
        """
        for parameter in self.parameters():
            parameter.grad = 0.0


class Neuron(Module):
    """A neuron: activation(weights . inputs + bias).

    Args:
        num_inputs: number of inputs, 1 or more.
        activation: "none", "relu" or "tanh".
        rng: draws the weights and the bias uniformly from (-b, b) with b = 1 / sqrt(num_inputs), as
            torch.nn.Linear does.

    Raises:
        ValueError: an argument is out of its range.

    """

    def __init__(self, num_inputs: int, activation: str, rng: random.Random) -> None:
        if num_inputs < 1:
            raise ValueError(f"num_inputs must be at least 1, but got {num_inputs!r}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}")
        bound = 1 / math.sqrt(num_inputs)
        self.weights = [Value(rng.uniform(-bound, bound)) for _ in range(num_inputs)]
        self.bias = Value(rng.uniform(-bound, bound))
        self.activation = activation

    def __call__(self, inputs: Sequence[Value | float]) -> Value:
        """Compute the output.

        Raises:
            ValueError: there are more or fewer inputs than weights.

        """
        if len(inputs) != len(self.weights):
            raise ValueError(f"inputs must be {len(self.weights)} numbers, but got {len(inputs)}")
        total = self.bias
        for weight, number in zip(self.weights, inputs, strict=True):
            total = total + weight * number
        return ACTIVATIONS[self.activation](total)

    def parameters(self) -> list[Value]:
        """Return the weights and the bias."""
        return [*self.weights, self.bias]


class Layer(Module):
    """Several neurons that see the same inputs. ``num_outputs`` is their number; the rest is as for Neuron."""

    def __init__(self, num_inputs: int, num_outputs: int, activation: str, rng: random.Random) -> None:
        if num_outputs < 1:
            raise ValueError(f"num_outputs must be at least 1, but got {num_outputs!r}")
        self.neurons = [Neuron(num_inputs, activation, rng) for _ in range(num_outputs)]

    def __call__(self, inputs: Sequence[Value | float]) -> list[Value]:
        """Compute the output of every neuron."""
        return [neuron(inputs) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        """Return the neurons' parameters."""
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]


class MLP(Module):
    """A multi-layer perceptron: layers one after the other.

    Args:
        num_inputs: number of inputs.
        layer_sizes: the number of neurons in each layer. The last is the number of outputs.
        activation: the activation of all layers but the last, which has none: "none", "relu" or "tanh".
        rng: draws the parameters; None takes a new generator.

    Raises:
        ValueError: an argument is out of its range.

    """

    def __init__(
        self,
        num_inputs: int,
        layer_sizes: Sequence[int],
        activation: str = "tanh",
        rng: random.Random | None = None,
    ) -> None:
        if not layer_sizes:
            raise ValueError("layer_sizes must hold at least one size, but is empty")
        rng = random.Random() if rng is None else rng
        sizes = [num_inputs, *layer_sizes]
        activations = [activation] * (len(layer_sizes) - 1) + ["none"]
        self.layers = [
            Layer(inputs, outputs, layer_activation, rng)
            for inputs, outputs, layer_activation in zip(sizes[:-1], layer_sizes, activations, strict=True)
        ]

    def __call__(self, inputs: Sequence[Value | float]) -> list[Value]:
        """Compute the outputs."""
        outputs: Sequence[Value | float] = inputs
        for layer in self.layers:
            outputs = layer(outputs)
        return [as_value(output) for output in outputs]

    def parameters(self) -> list[Value]:
        """Return the layers' parameters."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]
