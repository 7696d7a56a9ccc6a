"""Reads the network that the engine trains off a model made of torch.nn layers, or says why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext._native.core import _core
from namegen_ext.engine.covered_tensors import check_tensors, refuse_model
from namegen_ext.models.layers import Layers, Level, UnreadLayersError, check_plain, read_layers
from namegen_ext.models.window_model import WindowModel
from namegen_ext.nn.plain_calls import stock_class

# The number of hidden levels that csrc/core/engine/training/step_engine.h has room for.
MOST_LEVELS = 16


@dataclass(frozen=True)
class NetworkDescription:
    """A network that the engine trains: an embedding, levels, and a linear layer to the logits.

    Attributes:
        block_size: number of tokens of an example.
        embedding: (V, E); without levels its rows are the logits.
        levels: the hidden levels, from the embedding upwards; each ends with a tanh.
        output: the linear layer to V logits; None without levels.

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
        """The dtype of all parameters."""
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
        """Yield the number of each level that has a batch norm, and the batch norm."""
        for number, level in enumerate(self.levels):
            if level.batch_norm is not None:
                yield number, level.batch_norm

    def check_mode(self) -> None:
        """Check that a step would use and move the statistics of every batch norm.

        Raises:
            UnsupportedModelError: a batch norm is in evaluation mode.

        """
        for level in self.levels:
            if level.batch_norm is not None and not level.batch_norm.training:
                refuse_model(
                    "a batch norm is in evaluation mode, where torch trains with its running statistics; call "
                    "train() of the model, or train it with torch"
                )

    def build(self, optimizer: dict[str, Any]) -> Any:
        """Make the native engine, with an optimizer's settings."""
        levels = []
        for level in self.levels:
            batch_norm = level.batch_norm
            levels.append(
                {
                    "group": level.group,
                    "size": level.linear.out_features,
                    "bias": level.linear.bias is not None,
                    "batch_norm": batch_norm is not None,
                    "unbiased": getattr(batch_norm, "variance", "biased") == "unbiased",
                    "eps": 0.0 if batch_norm is None else batch_norm.eps,
                    "momentum": 0.0 if batch_norm is None else batch_norm.momentum,
                }
            )
        return _core.StepEngine(
            vocab=self.vocab_size,
            block=self.block_size,
            embed=self.embedding.embedding_dim,
            levels=levels,
            output_bias=self.output is not None and self.output.bias is not None,
            optimizer=optimizer,
            float64=self.dtype == torch.float64,
        )


def describe_network(model: nn.Module) -> NetworkDescription:
    """Read the network that a model is.

    Args:
        model: an MLP, WaveNet or Bigram of this package, stock or fused; or an nn.Sequential of Embedding, then
            Flatten or FlattenConsecutive (for more than one linear layer on the positions, one before each), Linear,
            BatchNorm1d (where wanted) and Tanh for each level, then Linear. The loss is taken to be the softmax
            cross-entropy of its result: nothing here can tell where it is another one.

    Raises:
        UnsupportedModelError: the engine does not cover the model; the message says why.

    Example:
        >>> from namegen_ext.models import WaveNet
        >>> network = describe_network(WaveNet(27, block_size=8))
        >>> network.vocab_size, [level.group for level in network.levels]
        (27, [2, 2, 2])

    """
    net = model.net if isinstance(model, WindowModel) and _is_own(model) else model
    try:
        if stock_class(net) is not nn.Sequential:
            refuse_model(f"{type(model).__name__} is neither an MLP, WaveNet or Bigram nor an nn.Sequential")
        check_plain(model)
        layers = read_layers(net.children(), getattr(model, "block_size", None), fused_layers=False)
    except UnreadLayersError as error:
        refuse_model(str(error))
    network = _covered(layers, getattr(model, "block_size", None))
    statistics = [each for _, batch_norm in network.batch_norms() for each in running_statistics(batch_norm)]
    check_tensors(model, network.dtype, network.parameters(), statistics)
    return network


def _is_own(model: WindowModel) -> bool:
    # A subclass may have a forward of its own.
    return type(model).forward is WindowModel.forward


def _covered(layers: Layers, block_size: int | None) -> NetworkDescription:
    """Return the description of a network that the engine covers; refuse others."""
    embedding = layers.embedding
    if embedding.padding_idx is not None or embedding.max_norm is not None:
        refuse_model("the embedding has padding_idx or max_norm")
    if embedding.scale_grad_by_freq or embedding.sparse:
        refuse_model("the embedding has scale_grad_by_freq or sparse gradients")
    outputs = layers.levels[-1].linear.out_features if layers.levels else embedding.embedding_dim
    if outputs != embedding.num_embeddings:
        refuse_model(f"it gives {outputs} logits for {embedding.num_embeddings} symbols")
    if not layers.levels:
        if block_size not in (None, 1):
            refuse_model(f"its block size is {block_size}, and an embedding alone sees one symbol")
        return NetworkDescription(1, embedding, (), None)
    *hidden, output = layers.levels
    if not hidden or output.joins:
        refuse_model("no hidden layer with a tanh stands before its last linear layer")
    if output.tanh or output.batch_norm is not None:
        refuse_model("a batch norm or a tanh stands behind its last linear layer")
    if len(hidden) > MOST_LEVELS:
        refuse_model(f"it has {len(hidden)} hidden layers, and the engine takes at most {MOST_LEVELS}")
    for number, level in enumerate(hidden):
        _check_level(level, first=number == 0)
    return NetworkDescription(layers.block_size, embedding, tuple(hidden), output.linear)


def _check_level(level: Level, *, first: bool) -> None:
    if first and not level.joins:
        refuse_model("the embedding is not followed by nn.Flatten or FlattenConsecutive")
    if not first and any(isinstance(layer, nn.Flatten) for layer in level.joins):
        refuse_model("an nn.Flatten does not join the positions of the embedding")
    if not level.tanh:
        refuse_model("an nn.Tanh is expected, but there stands another linear layer")
    batch_norm = level.batch_norm
    if batch_norm is None:
        return
    if not batch_norm.affine or not batch_norm.track_running_stats:
        refuse_model("a batch norm has no parameters or no running statistics")
    if not batch_norm.eps > 0:  # torch's own layer refuses it in training
        refuse_model(f"a batch norm has eps {batch_norm.eps}, which must be positive")
    if batch_norm.momentum is None:
        refuse_model("a batch norm averages its running statistics (momentum is None)")


def running_statistics(batch_norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return running_mean and running_var, each (C,)."""
    mean, var = batch_norm.running_mean, batch_norm.running_var
    if mean is None or var is None:
        refuse_model("a batch norm has no running statistics")
    return mean, var
