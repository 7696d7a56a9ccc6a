"""The error that ends the command with exit status 1."""

from __future__ import annotations


class BenchError(RuntimeError):
    """Something could not be measured, drawn or written; the message says what and why, in one line."""
