"""The initial weights of a case's model, as the peers without modules take them up."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from namegen_ext.models.window_model import WindowModel
from namegen_ext.nn import FlattenConsecutive


@dataclass(frozen=True)
class LevelWeights:
    """One level: neighbouring positions side by side, linear, batch norm where there is one, tanh.

    Attributes:
        group: how many positions are taken together.
        weight: (group * C, H), C being the channels of a position.
        bias: (H,), or None.
        gain: (H,), the scale of batch norm; None without. Its running statistics begin at 0 and 1.
        shift: (H,), what it adds; None without.

    """

    group: int
    weight: Tensor
    bias: Tensor | None
    gain: Tensor | None
    shift: Tensor | None


@dataclass(frozen=True)
class Weights:
    """Copies of all weights of a model.

    Attributes:
        embedding: (V, E).
        levels: from the embedding upwards.
        output_weight: (H, V).
        output_bias: (V,).

    """

    embedding: Tensor
    levels: tuple[LevelWeights, ...]
    output_weight: Tensor
    output_bias: Tensor


def read_weights(model: WindowModel) -> Weights:
    """Copy the weights of an MLP or a WaveNet of stock layers; matrices are turned to (inputs, outputs)."""
    embedding, *hidden, output = model.net.children()
    assert isinstance(embedding, nn.Embedding)
    assert isinstance(output, nn.Linear)
    levels: list[LevelWeights] = []
    group = model.block_size  # where nn.Flatten joins all positions
    linear: nn.Linear | None = None
    norm: nn.BatchNorm1d | None = None
    for layer in hidden:
        if isinstance(layer, FlattenConsecutive):
            group = layer.factor
        elif isinstance(layer, nn.Linear):
            linear = layer
        elif isinstance(layer, nn.BatchNorm1d):
            norm = layer
        elif isinstance(layer, nn.Tanh):
            assert linear is not None
            levels.append(
                LevelWeights(
                    group=group,
                    weight=_matrix(linear),
                    bias=_copy(linear.bias),
                    gain=None if norm is None else _copy(norm.weight),
                    shift=None if norm is None else _copy(norm.bias),
                )
            )
            group, linear, norm = 1, None, None
    bias = _copy(output.bias)
    assert bias is not None
    return Weights(embedding.weight.detach().clone(), tuple(levels), _matrix(output), bias)


def _matrix(linear: nn.Linear) -> Tensor:
    return linear.weight.detach().T.contiguous()  # (inputs, outputs)


def _copy(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.detach().clone()
