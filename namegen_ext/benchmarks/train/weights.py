"""The weights of a case's model, for peers that are not written with its modules."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from namegen_ext.benchmarks.train.case import TrainCase
from namegen_ext.nn import FlattenConsecutive


@dataclass
class BatchNormWeights:
    """Of one batch norm, each (H,)."""

    gain: Tensor
    shift: Tensor
    running_mean: Tensor
    running_var: Tensor


@dataclass
class LevelWeights:
    """A hidden level.

    Attributes:
        group: positions taken together.
        weight: (group * inputs, H).
        bias: (H,), or None.
        batch_norm: or None.

    """

    group: int
    weight: Tensor
    bias: Tensor | None
    batch_norm: BatchNormWeights | None = None


@dataclass
class Weights:
    """All weights, copied: C (V, E), the levels, and the output's (H, V) and (V,)."""

    embedding: Tensor
    levels: list[LevelWeights]
    output_weight: Tensor
    output_bias: Tensor


def initial_weights(case: TrainCase, vocab_size: int) -> Weights:
    """Build the case's model and copy its weights."""
    net = case.build_model(vocab_size).net
    linears = [layer for layer in net if isinstance(layer, nn.Linear)]
    embedding = next(layer for layer in net if isinstance(layer, nn.Embedding))
    levels: list[LevelWeights] = []
    group = 1
    for layer in net:
        if isinstance(layer, FlattenConsecutive):
            group = layer.factor
        elif isinstance(layer, nn.Flatten):
            group = case.block_size
        elif isinstance(layer, nn.Linear) and layer is not linears[-1]:
            bias = None if layer.bias is None else layer.bias.detach().clone()
            levels.append(LevelWeights(group, layer.weight.detach().T.contiguous(), bias))
            group = 1
        elif isinstance(layer, nn.BatchNorm1d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            tensors = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            levels[-1].batch_norm = BatchNormWeights(*(tensor.detach().clone() for tensor in tensors))
    return Weights(
        embedding=embedding.weight.detach().clone(),
        levels=levels,
        output_weight=linears[-1].weight.detach().T.contiguous(),
        output_bias=linears[-1].bias.detach().clone(),
    )
