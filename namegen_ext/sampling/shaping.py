"""How logits become probabilities: the temperature, and the k likeliest symbols."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Shaping:
    """How logits become probabilities.

    Args:
        temperature: the logits are divided by it; below 1 likely symbols become likelier. Greater than 0.
        top_k: only the k likeliest symbols can be drawn (of equal ones, those that come first in the
            vocabulary); None keeps all.

    """

    temperature: float = 1.0
    top_k: int | None = None

    def probabilities(self, logits: Tensor, *, allow_end: bool = True) -> Tensor:
        """Turn logits (N, V) into probabilities (N, V) float64.

        Without ``allow_end`` symbol 0 cannot be drawn; it is excluded before the k likeliest are chosen.
        """
        logits = logits.double()  # (N, V)
        if not allow_end:
            logits = logits.clone()
            logits[:, 0] = -math.inf
        if self.top_k is not None and self.top_k < logits.shape[1]:
            order = logits.sort(dim=1, descending=True, stable=True).indices  # (N, V)
            logits = logits.scatter(1, order[:, self.top_k :], -math.inf)
        # The largest logit is subtracted first. A small temperature then sends the others to -inf, and none to +inf.
        logits = logits - logits.max(dim=1, keepdim=True).values
        return (logits / self.temperature).softmax(dim=1)  # (N, V)
