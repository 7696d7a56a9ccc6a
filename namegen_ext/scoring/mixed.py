"""Likelihoods of mixtures, and the posterior of their parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from namegen_ext.scoring.scorer import NameLikelihood


class MixedLikelihood:
    """The likelihood of a mixture: P(name) is the sum over the parts of weight * P(name) of the part.

    Args:
        parts: the likelihoods of the parts.
        weights: above 0.

    """

    def __init__(self, parts: Sequence[NameLikelihood], weights: Sequence[float]) -> None:
        self._parts = parts
        self._log_weights = np.log(weights) - np.log(np.sum(weights))  # (K,)

    def nll(self, names: Sequence[str], *, given: int = 0) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Compute negative log-likelihoods; see `Likelihood.nll`. A letter is unknown that no part knows."""
        joint, unknown = self._joint(names, given)
        return -_log_sum(joint), unknown

    def posterior(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Compute P(part | name) by Bayes' rule, the weights being the prior.

        Returns:
            float64 (len(names), K); the weights for a name that no part can give.

        """
        joint, _ = self._joint(names)  # (n, K)
        impossible = ~np.isfinite(joint).any(axis=1)  # (n,)
        joint[impossible] = self._log_weights
        return np.exp(joint - _log_sum(joint)[:, None])

    def _joint(self, names: Sequence[str], given: int = 0) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Return log(weight * P(name)) for each part: (n, K); and the letters that no part knows."""
        columns, unknown = [], None
        for part in self._parts:
            nll, own = part.nll(names, given=given)
            columns.append(-nll)
            unknown = own if unknown is None else {place: unknown[place] for place in unknown if place in own}
        return np.stack(columns, axis=1) + self._log_weights, unknown or {}


def _log_sum(joint: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log of the sum of exp over the last dimension: (n, K) -> (n,)."""
    largest = joint.max(axis=1)  # (n,)
    shift = np.where(np.isfinite(largest), largest, 0.0)  # (n,)
    with np.errstate(divide="ignore"):
        return shift + np.log(np.exp(joint - shift[:, None]).sum(axis=1))
