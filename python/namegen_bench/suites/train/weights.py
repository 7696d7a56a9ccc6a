"""The initial weights of a case's model, for the peers that have no modules."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from namegen_bench.measuring.workers import PeerUnavailableError
from namegen_ext.models.window_model import WindowModel
from namegen_ext.nn import FlattenConsecutive


@dataclass(frozen=True)
class LevelWeights:
    """One level: it joins neighbouring positions, then comes a linear layer, batch norm where there is one, and tanh.

    Attributes:
        group: how many positions are joined.
        weight: (group * C, H), where C is the number of channels of a position.
        bias: (H,), or None.
        gain: (H,), the scale of batch norm; None without batch norm. The running statistics begin at 0 and 1.
        shift: (H,), the shift of batch norm; None without batch norm.

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
        embedding: (V, E); for a bigram (V, V), its logits.
        levels: the levels from the embedding upwards; a bigram has none.
        output_weight: (H, V); None for a bigram.
        output_bias: (V,); None for a bigram.

    """

    embedding: Tensor
    levels: tuple[LevelWeights, ...]
    output_weight: Tensor | None
    output_bias: Tensor | None


def read_weights(model: nn.Module) -> Weights:
    """Copy the weights of a bigram, an MLP or a WaveNet of stock layers. Matrices are transposed to (inputs, outputs).

    Raises:
        PeerUnavailableError: it is another model, for which there are only peers with modules.

    """
    if not isinstance(model, WindowModel):
        raise PeerUnavailableError(f"it is not written for a {type(model).__name__}")
    embedding, *hidden, output = model.net.children()
    assert isinstance(embedding, nn.Embedding)
    if isinstance(output, nn.Flatten):
        return Weights(embedding.weight.detach().clone(), (), None, None)
    assert isinstance(output, nn.Linear)
    levels: list[LevelWeights] = []
    group = model.block_size  # without FlattenConsecutive, nn.Flatten joins all positions
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
    return Weights(embedding.weight.detach().clone(), tuple(levels), _matrix(output), _copy(output.bias))


def _matrix(linear: nn.Linear) -> Tensor:
    return linear.weight.detach().T.contiguous()  # (inputs, outputs)


def _copy(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.detach().clone()
