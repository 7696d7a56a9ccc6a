"""How much a model has learnt."""

from __future__ import annotations

from torch import nn


def number_of_values(model: nn.Module) -> int:
    """Count the trainable values of a model, or the counts of one that is made of them."""
    own = getattr(model, "num_values", None)
    return sum(parameter.numel() for parameter in model.parameters()) if own is None else int(own)
