"""Gradient descent on the two small data sets."""

from __future__ import annotations

import random
from collections.abc import Sequence

from namegen_reference.micrograd.datasets import Point
from namegen_reference.micrograd.losses import cross_entropy, mean_squared_error
from namegen_reference.micrograd.nn import MLP
from namegen_reference.micrograd.value import Value


def descend(parameters: Sequence[Value], learning_rate: float) -> None:
    """Move each parameter one step against its gradient, as the update rule of gradient descent says."""
    for parameter in parameters:
        parameter.data -= learning_rate * parameter.grad


def fit_sample(
    model: MLP,
    inputs: Sequence[Sequence[float]],
    targets: Sequence[float],
    steps: int,
    learning_rate: float = 0.1,
) -> list[float]:
    """Train a model with one output on all examples at once; return the loss before each step."""
    losses = []
    for _ in range(steps):
        predictions = [model(example)[0] for example in inputs]
        loss = mean_squared_error(predictions, targets)
        loss.backward()
        descend(model.parameters(), learning_rate)
        losses.append(loss.data)
    return losses


def fit_classes(
    model: MLP,
    points: Sequence[Point],
    classes: Sequence[int],
    steps: int,
    learning_rate: float,
    batch_size: int,
    rng: random.Random,
) -> list[float]:
    """Train a model with one output for each class on minibatches; return the loss of each step.

    The learning rate falls linearly to a tenth of its first value.
    """
    losses = []
    for step in range(steps):
        indices = rng.choices(range(len(points)), k=batch_size)
        logits = [model(points[index]) for index in indices]  # (batch_size, C)
        loss = cross_entropy(logits, [classes[index] for index in indices])
        loss.backward()
        descend(model.parameters(), learning_rate * (1 - 0.9 * step / steps))
        losses.append(loss.data)
    return losses


def predict(model: MLP, point: Sequence[float]) -> int:
    """Return the class whose logit is the largest."""
    logits = [logit.data for logit in model(point)]  # (C,)
    return logits.index(max(logits))
