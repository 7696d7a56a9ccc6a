"""The discounts of Kneser and Ney's estimator, by the likelihood of held-out names."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from namegen_ext.models.count_model import DEFAULT_CONCENTRATION, DEFAULT_DISCOUNTS

# Each transformed number is drawn towards that of the default by this times its squared distance, in nats: a length of
# context that occurs a few times among the held-out names keeps about the default.
_RIDGE = 0.2
_ITERATIONS = 60
# More held-out symbols than these say no more about some thirty numbers.
_MOST_EXAMPLES = 20_000


@dataclass(frozen=True)
class Discounts:
    """What :meth:`namegen_ext.models.CountModel.set_discounts` takes.

    Attributes:
        discounts: float64 (lengths, 3).
        concentrations: float64 (lengths,).

    """

    discounts: Tensor
    concentrations: Tensor


def tune_discounts(evidence: Tensor, vocab_size: int) -> Discounts:
    """Choose discounts and concentrations, for each length of context, under which held-out symbols are likeliest.

    Args:
        evidence: float64 (n, lengths, 5), of :meth:`namegen_ext.models.CountModel.evidence`.
        vocab_size: V.

    Source: the objective is Chen and Goodman's, "An empirical study of smoothing techniques for language modeling",
        1999, section 2.8; the minimiser is torch's L-BFGS.

    """
    evidence = evidence[:: max(1, len(evidence) // _MOST_EXAMPLES)]
    lengths = evidence.shape[1]
    raw = torch.zeros(lengths, 4, dtype=torch.float64, requires_grad=True)  # distances from the defaults
    optimizer = torch.optim.LBFGS([raw], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        probabilities = held_out_probabilities(evidence, _discounts(raw), vocab_size)  # (n,)
        loss = -probabilities.log().sum() + _RIDGE * raw.square().sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    found = _discounts(raw.detach())
    return found if bool(found.discounts.isfinite().all()) else _discounts(torch.zeros_like(raw).detach())


def _discounts(raw: Tensor) -> Discounts:
    """Map all numbers (lengths, 4) into the ranges that there are, 0 to the defaults."""
    limits = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    shares = torch.tensor(DEFAULT_DISCOUNTS, dtype=torch.float64) / limits
    discounts = limits * torch.sigmoid(raw[:, :3] + torch.logit(shares))  # (lengths, 3)
    default = torch.tensor(DEFAULT_CONCENTRATION, dtype=torch.float64)
    concentrations = F.softplus(raw[:, 3] + default.expm1().log())  # (lengths,)
    return Discounts(discounts, concentrations)


def held_out_probabilities(evidence: Tensor, discounts: Discounts, vocab_size: int) -> Tensor:
    """Compute the probability of each held-out symbol: (n, lengths, 5) -> (n,).

    The recursion of csrc/core/engine/counts/smoothing.h, from the empty context to the longest known one.
    """
    probability = torch.full(evidence.shape[:1], 1 / vocab_size, dtype=torch.float64)  # (n,)
    for length in range(evidence.shape[1]):
        count, total, *classes = evidence[:, length].unbind(1)  # (n,) each
        one, two, more = discounts.discounts[length]
        theta = discounts.concentrations[length]
        taken = theta + one * classes[0] + two * classes[1] + more * classes[2]  # (n,)
        discount = torch.where(count >= 3, more, torch.where(count == 2, two, one))  # (n,)
        own = torch.where(count > 0, count - discount, 0.0)  # (n,)
        estimate = (own + taken * probability) / (total + theta).clamp(min=1e-300)  # (n,)
        probability = torch.where(total > 0, estimate, probability)
    return probability
