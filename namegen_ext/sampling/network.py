"""What the native sampler evaluates by itself: a network read off the layers of an nn.Sequential.

The layers are read as models/layers.py says; batch norms in evaluation are folded into the linear layers before them.
Whether the model computes what its layers say is then tried out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from namegen_ext.models import layers
from namegen_ext.nn.plain_calls import stock_class
from namegen_ext.sampling.distribution import ModelDistribution

_TRIED_CONTEXTS = 64
# Two orders of summation in float32 differ by about 1e-6 of the largest logit; another function by about 1.
_TOLERANCE = 1e-4

_WITHOUT_EFFECT = (nn.Dropout, nn.Identity)  # in evaluation


class NotCoveredError(Exception):
    """The native sampler cannot evaluate a model; the message says why, as what follows "because"."""


@dataclass
class Level:
    """A linear layer that takes ``factor`` neighbouring positions, and perhaps a tanh.

    Attributes:
        factor: positions joined.
        weight: float64 (out, factor * in), batch norm folded in.
        bias: float64 (out,).
        tanh: whether a tanh follows.

    """

    factor: int
    weight: Tensor
    bias: Tensor
    tanh: bool = False


@dataclass
class Network:
    """An embedding float32 (vocab_size, embedding_dim), and the levels behind it; the last gives the logits."""

    embedding: Tensor
    levels: list[Level] = field(default_factory=list)


def read_network(direct: ModelDistribution) -> Network:
    """Read a model's layers, and try whether they are what it computes.

    Raises:
        NotCoveredError: they are not, or there are some that are not covered.
        SamplingError: the model's logits are not all finite.

    """
    model = direct.model
    try:
        layers.check_plain(model)
        if any(tensor.device.type != "cpu" for tensor in model.state_dict().values()):
            raise NotCoveredError("the model is not on the CPU")
        read = layers.read_layers(_sequential(model), direct.block_size, ignored=_WITHOUT_EFFECT)
    except layers.UnreadLayersError as error:
        raise NotCoveredError(str(error)) from None
    network = _folded(read)
    if len(network.embedding) != direct.vocab_size or len(network.levels[-1].bias) != direct.vocab_size:
        raise NotCoveredError(f"its embedding or its last layer is not made for {direct.vocab_size} symbols")
    _try_out(network, direct)
    return network


def logits(network: Network, contexts: Tensor) -> Tensor:
    """Compute the logits in float64, as the native sampler does in float32: the readable definition.

    Args:
        network: the network.
        contexts: (N, block_size) int64.

    Returns:
        (N, vocab_size).

    """
    x = network.embedding.double()[contexts]  # (N, T, C)
    for level in network.levels:
        x = x.reshape(len(x), x.shape[1] // level.factor, -1)  # (N, T / factor, factor * C)
        x = x @ level.weight.T + level.bias  # (N, T / factor, out)
        if level.tanh:
            x = x.tanh()
    return x[:, 0]  # (N, V)


def _sequential(model: nn.Module) -> nn.Sequential:
    """Find the nn.Sequential: the model itself, or the one child of a model with nothing beside it."""
    children = list(model.children())
    alone = len(children) == 1 and not model._parameters and not model._buffers
    for candidate in (model, children[0] if alone else None):
        if candidate is not None and stock_class(candidate) is nn.Sequential:
            assert isinstance(candidate, nn.Sequential)
            return candidate
    raise NotCoveredError(f"{type(model).__name__} is not one nn.Sequential of layers")


def _folded(read: layers.Layers) -> Network:
    """The weights of the layers, batch norms folded in."""
    if read.embedding.max_norm is not None:
        raise NotCoveredError("its first layer is not an nn.Embedding without max_norm")
    if not read.levels:
        raise NotCoveredError("its layers do not end with a linear layer over the whole context")
    network = Network(_float32(read.embedding.weight, "the embedding"))
    for layer in read.levels:
        linear = layer.linear
        weight = _float32(linear.weight, "a linear layer").double()  # (out, factor * in)
        no_bias = torch.zeros(len(weight), dtype=torch.float64)
        bias = no_bias if linear.bias is None else linear.bias.detach().double()
        level = Level(layer.group, weight, bias, layer.tanh)
        if layer.batch_norm is not None:
            _fold(layer.batch_norm, level)
        network.levels.append(level)
    return network


def _fold(norm: nn.BatchNorm1d, level: Level) -> None:
    """Fold a batch norm in evaluation into the linear layer before it."""
    if norm.running_mean is None or norm.running_var is None:
        raise NotCoveredError("a batch norm keeps no running statistics")
    scale = (norm.running_var.double() + norm.eps).rsqrt()  # (out,)
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = 0.0 if norm.bias is None else norm.bias.detach().double()
    level.weight = level.weight * scale[:, None]
    level.bias = (level.bias - norm.running_mean.double()) * scale + shift


def _float32(weight: Tensor, what: str) -> Tensor:
    if weight.dtype != torch.float32:
        raise NotCoveredError(f"{what} is {str(weight.dtype).removeprefix('torch.')}, not float32")
    return weight.detach()


def _try_out(network: Network, direct: ModelDistribution) -> None:
    generator = torch.Generator().manual_seed(0)
    contexts = torch.randint(direct.vocab_size, (_TRIED_CONTEXTS, direct.block_size), generator=generator)
    expected = direct.logits(contexts).double()  # (N, V)
    try:
        found = logits(network, contexts)  # (N, V)
    except RuntimeError as error:  # shapes that do not fit
        raise NotCoveredError(f"its layers do not follow on each other ({error})") from None
    if not torch.allclose(found, expected, rtol=0, atol=_TOLERANCE * (1 + float(expected.abs().max()))):
        raise NotCoveredError("it computes something else than its layers one after another")
