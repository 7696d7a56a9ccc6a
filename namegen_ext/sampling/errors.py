"""The errors of a sampling that cannot give what was asked for."""

from __future__ import annotations

NOT_FINITE = "the model's logits are not all finite: its training has diverged; train it anew"


class SamplingError(RuntimeError):
    """The arguments are right, but the model cannot give the names asked for."""


class NotCoveredError(Exception):
    """The native sampler cannot evaluate a model. The message says why, in words that can follow "because"."""
