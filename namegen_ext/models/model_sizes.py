"""The sizes that every model of names has as attributes, as numbers: nn.Module declares its attributes as anything."""

from __future__ import annotations

from typing import Any


def block_size_of(model: Any) -> int:
    """Return how many symbols a context of a model has."""
    return int(model.block_size)


def vocab_size_of(model: Any) -> int:
    """Return how many symbols a model tells apart, the end marker included."""
    return int(model.vocab_size)
