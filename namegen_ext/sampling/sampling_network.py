"""A network as the native sampler evaluates it: plain arrays, without torch.

module_network.py reads one off a module's layers, saved_network.py out of a run directory's arrays. Both fold batch
norms by :func:`folded_level`, so that the same weights give the same arrays, to the bit, in either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Float64s: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Level:
    """A linear layer that takes ``factor`` neighbouring positions, and perhaps a tanh.

    Attributes:
        factor: positions joined.
        weight: float64 (out, factor * in), batch norm folded in.
        bias: float64 (out,).
        tanh: whether a tanh follows.

    """

    factor: int
    weight: Float64s
    bias: Float64s
    tanh: bool = False


@dataclass(frozen=True, eq=False)
class Network:
    """An embedding and the levels behind it; or a table of logits, which has no levels.

    Attributes:
        block_size: positions of a context.
        embedding: float32 (V, E). Without levels it is the table of logits, float32 (V**block_size, V): a context is
            the number of a row, in base V, its oldest symbol first.
        levels: from the embedding upwards; the last one gives the logits.

    """

    block_size: int
    embedding: Array
    levels: tuple[Level, ...] = ()

    @property
    def vocab_size(self) -> int:
        """V, the number of symbols, the end marker included."""
        return len(self.embedding) if self.levels else self.embedding.shape[1]

    def is_finite(self) -> bool:
        """Tell whether all numbers of the network are finite."""
        arrays: list[Array] = [self.embedding]
        for level in self.levels:
            arrays += [level.weight, level.bias]
        return all(bool(np.isfinite(array).all()) for array in arrays)


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """A batch norm in evaluation.

    Attributes:
        mean: the running mean, (out,).
        var: the running variance, (out,).
        eps: what is added to the variance.
        weight: (out,), or None for ones.
        bias: (out,), or None for zeros.

    """

    mean: Array
    var: Array
    eps: float
    weight: Array | None
    bias: Array | None


def folded_level(
    factor: int, weight: Array, bias: Array | None, *, tanh: bool, batch_norm: BatchNorm | None
) -> Level:
    """Make one level of a linear layer, the batch norm behind it, and the tanh.

    With scale = norm.weight / sqrt(norm.var + norm.eps), the level's weight is scale * weight and its bias
    (bias - norm.mean) * scale + norm.bias; all in float64.

    Args:
        factor: positions that the linear layer joins.
        weight: (out, factor * in).
        bias: (out,), or None for zeros.
        tanh: whether a tanh follows.
        batch_norm: what stands between the linear layer and the tanh, or None.

    """
    wide_weight = _float64(weight)  # (out, factor * in)
    wide_bias = np.zeros(len(weight)) if bias is None else _float64(bias)  # (out,)
    if batch_norm is not None:
        with np.errstate(all="ignore"):  # the sampler reports values that are not finite
            scale = 1.0 / np.sqrt(_float64(batch_norm.var) + batch_norm.eps)  # (out,)
            if batch_norm.weight is not None:
                scale = scale * _float64(batch_norm.weight)
            wide_weight = wide_weight * scale[:, None]
            wide_bias = (wide_bias - _float64(batch_norm.mean)) * scale
            if batch_norm.bias is not None:
                wide_bias = wide_bias + _float64(batch_norm.bias)
    return Level(factor, wide_weight, wide_bias, tanh)


def logits(network: Network, contexts: NDArray[np.int64]) -> Float64s:
    """Compute the logits in float64, as the native sampler does in float32: the readable definition.

    Args:
        network: the network.
        contexts: (N, block_size) int64.

    Returns:
        (N, vocab_size).

    """
    if not network.levels:
        powers = [network.vocab_size**position for position in reversed(range(network.block_size))]
        rows = contexts @ np.array(powers, dtype=np.int64)  # (N,)
        return _float64(network.embedding[rows])  # (N, V)
    x = _float64(network.embedding)[contexts]  # (N, T, C)
    for level in network.levels:
        x = x.reshape(len(x), x.shape[1] // level.factor, -1)  # (N, T / factor, factor * C)
        x = x @ level.weight.T + level.bias  # (N, T / factor, out)
        if level.tanh:
            x = np.tanh(x)
    return x[:, 0]  # (N, V)


def _float64(array: Array) -> Float64s:
    return array.astype(np.float64)
