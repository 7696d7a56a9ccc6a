"""Neurons, losses and training steps, against torch in doubles."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from namegen_reference.micrograd import (
    MLP,
    SAMPLE_INPUTS,
    SAMPLE_TARGETS,
    Layer,
    Neuron,
    Value,
    cross_entropy,
    log_softmax,
    mean_squared_error,
    softmax,
)
from namegen_reference.micrograd.training import descend, fit_sample

TOLERANCE = 1e-9  # doubles: see test_value.py


def torch_twin(model: MLP, activation: str) -> nn.Sequential:
    """The same network in torch, with the same weights, in doubles."""
    layers: list[nn.Module] = []
    for layer in model.layers:
        first = layer.neurons[0]
        linear = nn.Linear(len(first.weights), len(layer.neurons), dtype=torch.float64)
        with torch.no_grad():
            weights = [[weight.data for weight in neuron.weights] for neuron in layer.neurons]
            linear.weight.copy_(torch.tensor(weights, dtype=torch.float64))
            linear.bias.copy_(
                torch.tensor([neuron.bias.data for neuron in layer.neurons], dtype=torch.float64)
            )
        layers += [linear, nn.Tanh() if activation == "tanh" else nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def gradients(twin: nn.Sequential) -> list[float]:
    """The twin's gradients in the order of MLP.parameters(): neuron by neuron, the bias last."""
    result: list[float] = []
    for linear in twin:
        if isinstance(linear, nn.Linear):
            assert linear.weight.grad is not None
            assert linear.bias.grad is not None
            rows = torch.cat([linear.weight.grad, linear.bias.grad[:, None]], dim=1)  # (out, in + 1)
            result += rows.flatten().tolist()
    return result


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_training_with_squared_error_equals_torch(activation: str) -> None:
    model = MLP(3, [4, 4, 1], activation, random.Random(5))
    assert len(model.parameters()) == 41
    twin = torch_twin(model, activation)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    inputs = torch.tensor(SAMPLE_INPUTS, dtype=torch.float64)  # (4, 3)
    targets = torch.tensor(SAMPLE_TARGETS, dtype=torch.float64)  # (4,)
    for _ in range(10):
        loss = mean_squared_error([model(example)[0] for example in SAMPLE_INPUTS], SAMPLE_TARGETS)
        loss.backward()
        optimizer.zero_grad()
        expected = F.mse_loss(twin(inputs).squeeze(1), targets)
        expected.backward()
        assert loss.data == pytest.approx(expected.item(), abs=TOLERANCE)
        assert [value.grad for value in model.parameters()] == pytest.approx(gradients(twin), abs=TOLERANCE)
        descend(model.parameters(), 0.1)
        optimizer.step()


def test_cross_entropy_equals_torch() -> None:
    model = MLP(2, [5, 3], "tanh", random.Random(6))
    twin = torch_twin(model, "tanh")
    points, classes = [(0.5, -1.0), (2.0, 0.25), (-3.0, 1.0)], [2, 0, 1]
    loss = cross_entropy([model(point) for point in points], classes)
    loss.backward()
    expected = F.cross_entropy(twin(torch.tensor(points, dtype=torch.float64)), torch.tensor(classes))
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), abs=TOLERANCE)
    assert [value.grad for value in model.parameters()] == pytest.approx(gradients(twin), abs=TOLERANCE)


@pytest.mark.parametrize(
    "logits", [[0.0, 1.0, -2.0], [1000.0, 0.0, -1000.0], [-1e5, -1e5 + 1], [710.0, 711.0, 712.0], [4.0]]
)
def test_softmax_of_any_logits_equals_torch(logits: list[float]) -> None:
    values = [Value(logit) for logit in logits]
    tensor = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    for ours, theirs in ((log_softmax, torch.log_softmax), (softmax, torch.softmax)):
        results, expected = ours(values), theirs(tensor, 0)
        assert [result.data for result in results] == pytest.approx(
            expected.tolist(), rel=TOLERANCE, abs=TOLERANCE
        )
        results[-1].backward()
        (gradient,) = torch.autograd.grad(expected[-1], tensor)
        assert [value.grad for value in values] == pytest.approx(gradient.tolist(), abs=TOLERANCE)


def test_the_sample_is_learnt() -> None:
    model = MLP(3, [4, 4, 1], rng=random.Random(0))
    losses = fit_sample(model, SAMPLE_INPUTS, SAMPLE_TARGETS, steps=100)
    assert losses[-1] < 0.01 * losses[0]
    for example, target in zip(SAMPLE_INPUTS, SAMPLE_TARGETS, strict=True):
        assert math.copysign(1, model(example)[0].data) == target


def test_initial_weights_lie_within_the_bound_of_torch_linear() -> None:
    parameters = [value.data for value in Layer(16, 50, "tanh", random.Random(0)).parameters()]
    assert len(parameters) == 50 * 17
    assert max(map(abs, parameters)) <= 0.25
    assert max(map(abs, parameters)) > 0.24  # a uniform draw of 850: below that with probability 0.96^850
    again = [value.data for value in Layer(16, 50, "tanh", random.Random(0)).parameters()]
    assert parameters == again


def test_zero_grad() -> None:
    model = MLP(2, [2], rng=random.Random(0))
    (model([1.0, 2.0])[0] + model([1.0, 2.0])[1]).backward()
    assert [value.grad for value in model.parameters()] == [1, 2, 1, 1, 2, 1]
    model.zero_grad()
    assert [value.grad for value in model.parameters()] == [0] * 6


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Neuron(0, "tanh", random.Random()), ValueError, "num_inputs must be at least 1, but got 0"),
        (
            lambda: Neuron(1, "selu", random.Random()),
            ValueError,
            "activation must be one of none, relu, tanh, but got 'selu'",
        ),
        (
            lambda: Layer(1, 0, "tanh", random.Random()),
            ValueError,
            "num_outputs must be at least 1, but got 0",
        ),
        (lambda: MLP(1, []), ValueError, "layer_sizes must hold at least one size"),
        (lambda: MLP(2, [1])([1.0]), ValueError, "inputs must be 2 numbers, but got 1"),
        (lambda: mean_squared_error([], []), ValueError, "predictions must hold at least one example"),
        (
            lambda: mean_squared_error([Value(1)], [1, 2]),
            ValueError,
            "targets must be as many as predictions, 1",
        ),
        (lambda: cross_entropy([[1.0, 2.0]], [2]), IndexError, r"targets must lie in \[0, 2\), but got 2"),
        (lambda: softmax([]), ValueError, "logits must hold at least one number"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
