"""The errors of a sampling that cannot give what was asked for."""

from __future__ import annotations

NOT_FINITE = "the model's logits are not all finite: its training has diverged; train it anew"

# Stands in place of a name that was tried once and rejected; see steering/rejection_sampler.h of the engine.
REJECTED = "\0"


class SamplingError(RuntimeError):
    """The arguments are right, but the model cannot give the names asked for."""


class NoChanceError(SamplingError):
    """The model gives every name that meets the constraints the probability 0."""


class TooFewAcceptedError(SamplingError):
    """A name that meets the constraints was not found in as many tries as allowed.

    Args:
        names: those found before it.
        tries_for_one: so many were allowed.
        accepted: how many tries gave a name.
        tries: how many there were in all.

    """

    def __init__(self, names: list[str], tries_for_one: int, accepted: int, tries: int) -> None:
        super().__init__(
            f"the constraints fit too few of the model's names: {accepted:,} of {tries:,} tries gave one, and "
            f"the last {tries_for_one:,} none; ask for less, or raise the temperature"
        )
        self.names = names


class NotCoveredError(Exception):
    """The native sampler cannot evaluate a model. The message says why, in words that can follow "because"."""
