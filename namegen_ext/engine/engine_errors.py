"""The error of the engine."""

from __future__ import annotations


class UnsupportedModelError(ValueError):
    """The engine does not cover the model or the optimizer; the message says why."""
