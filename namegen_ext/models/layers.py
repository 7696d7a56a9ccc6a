"""Reads the layers of an nn.Sequential as a network: an embedding, then levels of linear layers.

The classes of the layers decide, not that of the model, and nothing is computed. What reads a network here (the
training engine, the native sampler) judges for itself which networks it covers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import NoReturn

from torch import nn

from namegen_ext.nn import ChannelsLastBatchNorm1d, FlattenConsecutive
from namegen_ext.nn.plain_calls import all_plain, stock_class, why_not_at_all

BATCH_NORMS = (nn.BatchNorm1d, ChannelsLastBatchNorm1d)


class UnreadLayersError(Exception):
    """The layers are not such a network. The message says why, in words that can follow "because"."""


@dataclass(frozen=True)
class Level:
    """Joins neighbouring positions, then a linear layer; a batch norm and a tanh follow where there are such.

    Attributes:
        joins: the layers that join positions before the linear layer, in their order.
        group: how many positions are joined.
        linear: its weight is (H, group * inputs).
        batch_norm: one of :data:`BATCH_NORMS`, or a FusedBatchNorm1d, over all rows of a minibatch; or None.
        tanh: whether a tanh follows.

    """

    joins: tuple[nn.Flatten | FlattenConsecutive, ...]
    group: int
    linear: nn.Linear
    batch_norm: nn.BatchNorm1d | None
    tanh: bool


@dataclass(frozen=True)
class Layers:
    """An embedding and the levels behind it.

    Attributes:
        block_size: positions of a context; without levels 1.
        embedding: (V, E); without levels its rows are the logits.
        levels: from the embedding upwards; the last one gives the logits.

    """

    block_size: int
    embedding: nn.Embedding
    levels: tuple[Level, ...]


def check_plain(model: nn.Module) -> None:
    """Check that a call of the model is no more than the forward of its layers' classes.

    Raises:
        UnreadLayersError: the model, or a layer of it, has hooks or a forward of its own; or all modules have.

    """
    if why_not_at_all() is not None:
        raise UnreadLayersError(why_not_at_all())
    for name, module in model.named_modules():
        if not all_plain((module,)):
            kind = type(module).__name__
            raise UnreadLayersError(
                f"{f'layer {name} ({kind})' if name else kind} has hooks or a forward of its own"
            )


def read_layers(
    layers: Iterable[nn.Module],
    block_size: int | None,
    *,
    fused_layers: bool = True,
    ignored: tuple[type[nn.Module], ...] = (),
) -> Layers:
    """Read layers from first to last.

    Args:
        layers: Embedding; for each level Flatten or FlattenConsecutive (any number of them, where positions are
            joined), Linear, a batch norm and Tanh (each where wanted). Or Embedding alone, or with Flatten.
        block_size: positions of a context; None where the layers alone say it.
        fused_layers: whether a FusedBatchNorm1d may stand where an nn.BatchNorm1d may.
        ignored: classes that are passed over wherever they stand.

    Raises:
        UnreadLayersError: the layers are others.

    """
    rest = [layer for layer in layers if type(layer) not in ignored]
    embedding = rest.pop(0) if rest else None
    if not isinstance(embedding, nn.Embedding) or type(embedding) is not nn.Embedding:
        raise UnreadLayersError("its first layer is not an nn.Embedding")
    if not rest or (len(rest) == 1 and type(rest[0]) is nn.Flatten):
        return Layers(1, embedding, ())
    levels: list[Level] = []
    inputs = embedding.embedding_dim
    while rest:
        level = _read_level(
            rest, inputs, None if block_size is None else block_size // _positions(levels), fused_layers
        )
        levels.append(level)
        inputs = level.linear.out_features
    positions = _positions(levels)
    if block_size not in (None, positions):
        raise UnreadLayersError(
            "its layers do not end with a linear layer over the whole context:"
            f" its levels take {positions} positions together, not the block size {block_size}"
        )
    for number, level in enumerate(levels, start=1):
        batch_norm = level.batch_norm
        if batch_norm is None or _positions(levels[number:]) == 1:
            continue
        if stock_class(batch_norm) is nn.BatchNorm1d:
            raise UnreadLayersError(f"{type(batch_norm).__name__} takes several positions for its channels")
    return Layers(positions, embedding, tuple(levels))


def _positions(levels: list[Level]) -> int:
    """Return how many positions of the embedding some levels join into one."""
    return prod(level.group for level in levels)


def _read_level(rest: list[nn.Module], inputs: int, positions: int | None, fused_layers: bool) -> Level:
    """Take the layers of a level off the front of ``rest``; ``positions`` are left, or it is not known how many."""
    joins: list[nn.Flatten | FlattenConsecutive] = []
    while rest and type(rest[0]) in (nn.Flatten, FlattenConsecutive):
        layer = rest.pop(0)
        assert isinstance(layer, nn.Flatten | FlattenConsecutive)
        if isinstance(layer, nn.Flatten):
            if layer.start_dim not in (1, -2) or layer.end_dim not in (2, -1):
                raise UnreadLayersError(f"an nn.Flatten does not join the positions: {layer}")
        elif positions is not None:
            if positions % layer.factor:
                raise UnreadLayersError(f"{positions} positions cannot be joined by {layer.factor}")
            positions //= layer.factor
        joins.append(layer)
    if joins and not rest:
        raise UnreadLayersError("its layers do not end with a linear layer over the whole context")
    linear = rest.pop(0) if rest else None
    if not isinstance(linear, nn.Linear) or type(linear) is not nn.Linear:
        _refuse_kind(nn.Linear, linear)
    group = _group(joins, linear, inputs)
    class_of = stock_class if fused_layers else type
    batch_norm = rest.pop(0) if rest and class_of(rest[0]) in BATCH_NORMS else None
    assert batch_norm is None or isinstance(batch_norm, nn.BatchNorm1d)
    if batch_norm is not None and batch_norm.num_features != linear.out_features:
        raise UnreadLayersError(
            f"a batch norm of {batch_norm.num_features} channels follows {linear.out_features} outputs"
        )
    tanh = getattr(batch_norm, "activation", "none") == "tanh"  # of a FusedBatchNorm1d
    if not tanh and rest and type(rest[0]) is nn.Tanh:
        rest.pop(0)
        tanh = True
    if not tanh and rest and type(rest[0]) not in (nn.Linear, nn.Flatten, FlattenConsecutive):
        _refuse_kind(nn.Tanh, rest[0])
    return Level(tuple(joins), group, linear, batch_norm, tanh)


def _group(joins: list[nn.Flatten | FlattenConsecutive], linear: nn.Linear, inputs: int) -> int:
    """Return how many positions, of ``inputs`` values each, a linear layer takes."""
    group = prod(layer.factor for layer in joins if isinstance(layer, FlattenConsecutive))
    if any(isinstance(layer, nn.Flatten) for layer in joins):  # all positions, however many there are
        group = linear.in_features // inputs
    if linear.in_features == group * inputs:
        return group
    if linear.in_features % inputs:
        raise UnreadLayersError(
            f"a Linear takes {linear.in_features} values, no multiple of the {inputs} of a position"
        )
    raise UnreadLayersError(
        f"a Linear takes {linear.in_features // inputs} positions, where {group} are joined before it"
    )


def _refuse_kind(expected: type[nn.Module], layer: nn.Module | None) -> NoReturn:
    found = "nothing" if layer is None else type(layer).__name__
    raise UnreadLayersError(f"an nn.{expected.__name__} is expected, but there stands {found}")
