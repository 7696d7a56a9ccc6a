"""Losses: one number that says how wrong the outputs are, the mean over the examples."""

from __future__ import annotations

from collections.abc import Sequence

from namegen_reference.micrograd.value import Value, as_value


def mean_squared_error(predictions: Sequence[Value], targets: Sequence[Value | float]) -> Value:
    """Return the mean of (prediction - target) squared.

    Raises:
        ValueError: there are no predictions, or their number is not that of the targets.

    """
    _check_lengths("predictions", len(predictions), len(targets))
    total = Value(0)
    for prediction, target in zip(predictions, targets, strict=True):
        total = total + (prediction - target) ** 2
    return total / len(predictions)


def log_softmax(logits: Sequence[Value | float]) -> list[Value]:
    """Return the logarithms of the probabilities of the logits, without overflow.

    Subtracting one number from all logits changes neither the result nor the derivative. The largest logit is
    subtracted as a plain number, so that every exponential lies in [0, 1] and one of them is 1.

    Raises:
        ValueError: there are no logits.

    """
    if not logits:
        raise ValueError("logits must hold at least one number, but is empty")
    values = [as_value(logit) for logit in logits]
    largest = max(value.data for value in values)
    shifted = [value - largest for value in values]
    total = Value(0)
    for value in shifted:
        total = total + value.exp()
    log_total = total.log()
    return [value - log_total for value in shifted]


def softmax(logits: Sequence[Value | float]) -> list[Value]:
    """Return the probabilities of the logits."""
    return [logprob.exp() for logprob in log_softmax(logits)]


def cross_entropy(logits: Sequence[Sequence[Value | float]], targets: Sequence[int]) -> Value:
    """Return the mean negative log-likelihood of the right classes, in nats.

    Args:
        logits: (N, C), a row for each example.
        targets: (N,), the right classes, each in [0, C).

    Raises:
        ValueError: there are no examples, or the numbers of rows and of targets differ.
        IndexError: a target is not a class.

    """
    _check_lengths("logits", len(logits), len(targets))
    total = Value(0)
    for row, target in zip(logits, targets, strict=True):
        if not 0 <= target < len(row):
            raise IndexError(f"targets must lie in [0, {len(row)}), but got {target}")
        total = total - log_softmax(row)[target]
    return total / len(logits)


def _check_lengths(name: str, length: int, num_targets: int) -> None:
    if length == 0:
        raise ValueError(f"{name} must hold at least one example, but is empty")
    if length != num_targets:
        raise ValueError(f"targets must be as many as {name}, {length}, but got {num_targets}")
