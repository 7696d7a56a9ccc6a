"""From a model made of torch.nn layers to the network that the engine trains, or the reason why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from namegen_ext.engine.errors import UnsupportedModelError
from namegen_ext.fusion import FusedSequential
from namegen_ext.fusion.sequential import all_plain, why_not_at_all
from namegen_ext.models.window_model import WindowModel
from namegen_ext.nn import ChannelsLastBatchNorm1d, FlattenConsecutive

# As many hidden levels as csrc/engine/training/step_engine.h has room for.
MOST_LEVELS = 16
DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Level:
    """Neighbouring positions side by side, linear, batch norm where there is one, tanh.

    Attributes:
        group: how many positions are taken together.
        linear: its weight is (H, group * inputs).
        batch_norm: over all rows of a minibatch; or None.

    """

    group: int
    linear: nn.Linear
    batch_norm: nn.BatchNorm1d | None


@dataclass(frozen=True)
class NetworkDescription:
    """What the engine trains: embedding, levels, and a linear layer to the logits.

    Attributes:
        block_size: tokens an example.
        embedding: (V, E); without levels its rows are the logits.
        levels: from the embedding upwards.
        output: to V logits; None without levels.

    """

    block_size: int
    embedding: nn.Embedding
    levels: tuple[Level, ...]
    output: nn.Linear | None

    @property
    def vocab_size(self) -> int:
        """The number V of symbols."""
        return self.embedding.num_embeddings

    @property
    def dtype(self) -> torch.dtype:
        """That of all parameters."""
        return self.embedding.weight.dtype

    def parameters(self) -> list[Tensor]:
        """All parameters, in the order in which the engine takes them."""
        found: list[Tensor | None] = [self.embedding.weight]
        for level in self.levels:
            found += [level.linear.weight, level.linear.bias]
            if level.batch_norm is not None:
                found += [level.batch_norm.weight, level.batch_norm.bias]
        if self.output is not None:
            found += [self.output.weight, self.output.bias]
        return [parameter for parameter in found if parameter is not None]

    def batch_norms(self) -> Iterator[tuple[int, nn.BatchNorm1d]]:
        """The number of each level that has a batch norm, and the layer."""
        for number, level in enumerate(self.levels):
            if level.batch_norm is not None:
                yield number, level.batch_norm


def describe_network(model: nn.Module) -> NetworkDescription:
    """Read the network that a model is.

    Args:
        model: an MLP, WaveNet or Bigram of this package, stock or fused; or an nn.Sequential of Embedding, then
            Flatten or FlattenConsecutive (for more than one linear layer on the positions, one before each), Linear,
            BatchNorm1d (where wanted) and Tanh for each level, then Linear. A model whose layers are followed
            by something else than softmax cross-entropy is not told apart.

    Raises:
        UnsupportedModelError: the engine does not cover the model; the message says why.

    """
    if why_not_at_all() is not None:
        _refuse(str(why_not_at_all()))
    net = model.net if isinstance(model, WindowModel) and _is_own(model) else model
    if type(net) not in (nn.Sequential, FusedSequential):
        _refuse(f"{type(model).__name__} is neither an MLP, WaveNet or Bigram nor an nn.Sequential")
    if model is not net and not all_plain((model,)):
        _refuse(f"{type(model).__name__} has hooks or a forward of its own")
    layers = list(net.children())
    for name, layer in net.named_children():
        if not all_plain((layer,)):
            _refuse(f"layer {name} ({type(layer).__name__}) has hooks or a forward of its own")
    network = _Reader(layers, getattr(model, "block_size", None)).read()
    _check_tensors(network, model)
    return network


def _is_own(model: WindowModel) -> bool:
    # A subclass may have a forward of its own.
    return type(model).forward is WindowModel.forward


def _refuse(reason: str) -> NoReturn:
    raise UnsupportedModelError(f"the step engine does not cover this model: {reason}")


class _Reader:
    """Reads layers from first to last."""

    def __init__(self, layers: list[nn.Module], block_size: int | None) -> None:
        self.layers = layers
        self.position = 0
        self.block_size = block_size

    def read(self) -> NetworkDescription:
        embedding = self._take(nn.Embedding)
        if embedding is None:
            _refuse("its first layer is not an nn.Embedding")
        if embedding.padding_idx is not None or embedding.max_norm is not None:
            _refuse("the embedding has padding_idx or max_norm")
        if embedding.scale_grad_by_freq or embedding.sparse:
            _refuse("the embedding has scale_grad_by_freq or sparse gradients")
        if self._at_end() or (len(self.layers) == 2 and type(self.layers[1]) is nn.Flatten):
            return self._bigram(embedding)
        levels: list[Level] = []
        inputs = embedding.embedding_dim
        while True:
            level, output = self._level(inputs, first=not levels)
            if output is not None:
                break
            assert level is not None
            levels.append(level)
            inputs = level.linear.out_features
        if len(levels) > MOST_LEVELS:
            _refuse(f"it has {len(levels)} hidden layers, and the engine takes at most {MOST_LEVELS}")
        if output.out_features != embedding.num_embeddings:
            _refuse(f"it gives {output.out_features} logits for {embedding.num_embeddings} symbols")
        block_size = 1
        for level in levels:
            block_size *= level.group
        if self.block_size is not None and self.block_size != block_size:
            _refuse(f"its levels take {block_size} positions together, not the block size {self.block_size}")
        return NetworkDescription(block_size, embedding, tuple(levels), output)

    def _bigram(self, embedding: nn.Embedding) -> NetworkDescription:
        if embedding.embedding_dim != embedding.num_embeddings:
            _refuse(
                f"its embedding gives {embedding.embedding_dim} logits for {embedding.num_embeddings} symbols"
            )
        if self.block_size not in (None, 1):
            _refuse(f"its block size is {self.block_size}, and an embedding alone sees one symbol")
        return NetworkDescription(1, embedding, (), None)

    def _level(self, inputs: int, *, first: bool) -> tuple[Level | None, nn.Linear | None]:
        """Read a level, or the output layer."""
        flatten = self._take(nn.Flatten) or self._take(FlattenConsecutive)
        linear = self._take(nn.Linear)
        if linear is None:
            _refuse(f"an nn.Linear is expected, but there stands {self._describe_next()}")
        if self._at_end():
            if first or flatten is not None:
                _refuse("no hidden layer with a tanh stands before its last linear layer")
            return None, linear
        group = 1 if flatten is None else linear.in_features // inputs
        if linear.in_features != group * inputs:
            _refuse(f"a Linear takes {linear.in_features} values, no multiple of the {inputs} of a position")
        if isinstance(flatten, FlattenConsecutive) and flatten.factor != group:
            _refuse(f"a Linear behind FlattenConsecutive({flatten.factor}) takes {group} positions")
        if type(flatten) is nn.Flatten and (
            not first or flatten.end_dim not in (-1, 2) or flatten.start_dim not in (-2, 1)
        ):
            _refuse("an nn.Flatten does not join the positions of the embedding")
        if first and flatten is None:
            _refuse("the embedding is not followed by nn.Flatten or FlattenConsecutive")
        batch_norm = self._take(nn.BatchNorm1d) or self._take(ChannelsLastBatchNorm1d)
        if batch_norm is not None:
            _check_batch_norm(batch_norm, linear)
        if self._take(nn.Tanh) is None:
            _refuse(f"an nn.Tanh is expected, but there stands {self._describe_next()}")
        return Level(group, linear, batch_norm), None

    def _take(self, layer_type: type[Any]) -> Any:
        """The next layer where it is of just this class, else None."""
        if not self._at_end() and type(self.layers[self.position]) is layer_type:
            self.position += 1
            return self.layers[self.position - 1]
        return None

    def _at_end(self) -> bool:
        return self.position == len(self.layers)

    def _describe_next(self) -> str:
        return "nothing" if self._at_end() else type(self.layers[self.position]).__name__


def _check_batch_norm(batch_norm: nn.BatchNorm1d, linear: nn.Linear) -> None:
    if batch_norm.num_features != linear.out_features:
        _refuse(f"a batch norm of {batch_norm.num_features} channels follows {linear.out_features} outputs")
    if not batch_norm.affine or not batch_norm.track_running_stats:
        _refuse("a batch norm has no parameters or no running statistics")
    if batch_norm.momentum is None:
        _refuse("a batch norm averages its running statistics (momentum is None)")


def running_statistics(batch_norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return running_mean and running_var, each (C,)."""
    mean, var = batch_norm.running_mean, batch_norm.running_var
    if mean is None or var is None:
        _refuse("a batch norm has no running statistics")
    return mean, var


def _check_tensors(network: NetworkDescription, model: nn.Module) -> None:
    parameters = network.parameters()
    tensors: list[Tensor] = list(parameters)
    for _, batch_norm in network.batch_norms():
        tensors += running_statistics(batch_norm)
    if network.dtype not in DTYPES:
        _refuse(f"its parameters are {network.dtype}; the engine takes float32 and float64")
    for tensor in tensors:
        if tensor.device.type != "cpu":
            _refuse(f"it is on {tensor.device}; the engine runs on the CPU")
        if tensor.dtype != network.dtype:
            _refuse(f"its tensors are of several dtypes, {network.dtype} and {tensor.dtype}")
        if tensor.layout is not torch.strided or not tensor.is_contiguous():
            _refuse("a parameter is not contiguous")
    for parameter in parameters:
        if not parameter.requires_grad:
            _refuse("a parameter does not require gradients")
        if type(parameter) is not Parameter:
            _refuse(f"a parameter is a {type(parameter).__name__}")
    if len({id(parameter) for parameter in parameters}) != len(parameters):
        _refuse("two of its layers share a parameter")
    if len(list(model.parameters())) != len(parameters):
        _refuse("it has parameters beside those of its layers")
