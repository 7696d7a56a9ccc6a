"""The error of a sampling that cannot give what was asked for."""

from __future__ import annotations


class SamplingError(RuntimeError):
    """The arguments are right, but the model cannot give the names asked for."""
