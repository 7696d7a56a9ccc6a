"""Tells whether a GPT computes no more and no less than the class of the package does."""

from __future__ import annotations

import torch
from torch import nn

from namegen_ext.models.gpt import GPT
from namegen_ext.models.layers import UnreadLayersError, check_plain
from namegen_ext.nn.plain_calls import stock_class

# What sampling calls beside `forward`.
_METHODS = ("next_logits", "new_cache", "step", "_embed")


def check_plain_gpt(model: GPT) -> None:
    """Check that the layers are those that the constructor makes of ``model.config``, fused ones among them.

    Raises:
        UnreadLayersError: a layer is another, has hooks or a forward of its own; or the model is of a subclass.

    """
    check_plain(model)
    if type(model) is not GPT:
        raise UnreadLayersError(f"{type(model).__name__} is a subclass of GPT")
    changed = [name for name in _METHODS if name in vars(model)]
    if changed:
        raise UnreadLayersError(f"its {changed[0]} is not that of GPT")
    with torch.device("meta"):
        expected = _layers(GPT(**model.config, generator=torch.Generator()))
    found = _layers(model)
    for name in expected.keys() | found.keys():
        if found.get(name) != expected.get(name):
            raise UnreadLayersError(
                f"layer {name} is {_text(found.get(name))}, where {_text(expected.get(name))} is expected"
            )
    if (model.head.weight is model.token_embedding.weight) != model.tied:
        raise UnreadLayersError(f"its tied is {model.tied}, and its head's weight is another than that says")


_Layer = tuple[type[nn.Module], str]


def _layers(model: nn.Module) -> dict[str, _Layer]:
    """Return the stock class of each layer, and the settings of those without layers of their own."""
    found = {}
    for name, layer in model.named_modules():
        is_leaf = next(layer.children(), None) is None
        found[name] = stock_class(layer), layer.extra_repr() if is_leaf else ""
    return found


def _text(layer: _Layer | None) -> str:
    return "nothing" if layer is None else f"{layer[0].__name__}({layer[1]})"
