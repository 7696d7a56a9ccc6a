"""The weights of a mixture, by the likelihood of held-out names."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# The weights are drawn towards even ones by this times their squared distance, in nats: a few held-out names say
# little.
_RIDGE = 10.0
_ITERATIONS = 60
_NEAR_ENOUGH = 1e-5  # of a weight, and of all held-out names' loss in nats: what is below is no difference
# A model with less weight is left out.
LEAST_WEIGHT = 0.02
# And so is one by which held-out names gain less, in nats a character: drawing names takes the time of all models.
LEAST_GAIN = 0.004


def combined(log_probabilities: Tensor, weights: Tensor) -> Tensor:
    """Combine the log-probabilities of models: (C, n, V) and (C,) -> (n, V), normalised."""
    return torch.einsum("cnv,c->nv", log_probabilities, weights.to(log_probabilities.dtype)).log_softmax(
        dim=1
    )


def mixture_loss(log_probabilities: Tensor, weights: Tensor, targets: Tensor) -> float:
    """Compute the mean negative log-likelihood of targets (n,) under a mixture of models (C, n, V)."""
    return float(F.nll_loss(combined(log_probabilities, weights), targets))


def fit_weights(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    """Choose the weights under which held-out symbols are likeliest.

    The loss is convex in the weights, so the result does not depend on where the search begins.

    Args:
        log_probabilities: (C, n, V), of each model.
        targets: int64 (n,).

    Returns:
        float64 (C,), at least 0 each: exactly 0 for models that are better left out.

    """
    number = len(log_probabilities)
    weights = torch.zeros(number, dtype=torch.float64)
    active = torch.arange(number)
    while len(active) > 0:
        found = _fit(log_probabilities[active], targets)  # (active,)
        keep = found >= LEAST_WEIGHT
        if bool(keep.all()) or len(active) == 1:
            weights[active] = found.clamp(min=LEAST_WEIGHT)
            break
        # One at a time: what one leaves may be another's.
        active = active[torch.arange(len(active)) != int(found.argmin())]
    return weights


@dataclass(frozen=True)
class Choice:
    """Which models a mixture holds.

    Attributes:
        weights: float64 (C,), 0 for models that are left out.
        loss: of the mixture, in nats.
        gains: for each model what held-out symbols gain by it, in nats: of one that was taken, when it joined those
            before it, and 0 for the first; of one that was left out, if it stood beside the others.

    """

    weights: Tensor
    loss: float
    gains: list[float]


def choose_components(log_probabilities: Tensor, targets: Tensor) -> Choice:
    """Choose which models are worth their time, and their weights.

    One after another the model is added by which held-out symbols gain most, until none brings :data:`LEAST_GAIN`.

    Args:
        log_probabilities: (C, n, V), of each model.
        targets: int64 (n,).

    """
    number = len(log_probabilities)
    chosen: list[int] = []
    weights, loss, gains = torch.zeros(number, dtype=torch.float64), float("inf"), [0.0] * number
    while len(chosen) < number:
        found = []
        for candidate in (index for index in range(number) if index not in chosen):
            active = [*chosen, candidate]
            of_active = fit_weights(log_probabilities[active], targets)  # (active,)
            found.append((mixture_loss(log_probabilities[active], of_active, targets), active, of_active))
            gains[candidate] = loss - found[-1][0] if chosen else 0.0
        new_loss, active, of_active = min(found, key=lambda entry: entry[0])
        if chosen and new_loss > loss - LEAST_GAIN:
            break
        chosen, loss = active, new_loss
        weights = torch.zeros(number, dtype=torch.float64)
        weights[chosen] = of_active
    return Choice(weights, loss, gains)


def _fit(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    number = len(log_probabilities)
    even = 1 / number
    weights = torch.full((number,), even, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=_ITERATIONS, tolerance_change=_NEAR_ENOUGH, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        logits = torch.einsum("cnv,c->nv", log_probabilities, weights.to(log_probabilities.dtype))  # (n, V)
        loss = F.cross_entropy(logits, targets, reduction="sum").double()
        loss = loss + _RIDGE * (weights - even).square().sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    return weights.detach()
