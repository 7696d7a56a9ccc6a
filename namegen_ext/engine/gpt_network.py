"""From a GPT of the package to the network that the engine trains, or the reason why it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext._native.core import _core
from namegen_ext.engine.covered_tensors import check_tensors, refuse_model
from namegen_ext.models.gpt import GPT
from namegen_ext.models.gpt_block import Block, CausalSelfAttention
from namegen_ext.models.layers import UnreadLayersError, check_plain
from namegen_ext.nn.plain_calls import stock_class


@dataclass(frozen=True)
class GPTDescription:
    """What the engine trains: a GPT as :class:`namegen_ext.models.GPT` builds it.

    Attributes:
        model: the GPT itself.
        eps: of all its norms.

    """

    model: GPT
    eps: float

    @property
    def block_size(self) -> int:
        """The longest sequence T."""
        return self.model.block_size

    @property
    def vocab_size(self) -> int:
        """The number V of symbols."""
        return self.model.vocab_size

    @property
    def dtype(self) -> torch.dtype:
        """That of all parameters."""
        return self.model.token_embedding.weight.dtype

    def parameters(self) -> list[Tensor]:
        """All parameters, in the order in which the engine takes them."""
        model = self.model
        layers: list[Any] = [model.token_embedding, model.position_embedding, model.embedding_norm]
        for block in _blocks(model):
            layers += _layers(block)
        layers += [model.norm, None if model.tied else model.head]
        parameters = [getattr(layer, name, None) for layer in layers for name in ("weight", "bias")]
        return [parameter for parameter in parameters if parameter is not None]

    def check_mode(self) -> None:
        """Take any mode: without dropout a GPT computes the same in both."""

    def build(self, optimizer: dict[str, Any]) -> Any:
        """Make the native engine, with an optimizer's settings."""
        return _core.GptEngine(
            vocab=self.vocab_size,
            block=self.block_size,
            embed=self.model.embedding_dim,
            layers=self.model.num_layers,
            heads=self.model.num_heads,
            hidden=_blocks(self.model)[0].network[0].out_features,
            tied=self.model.tied,
            eps=self.eps,
            norm=self.model.norm_kind,
            activation=self.model.activation,
            biases=self.model.biases,
            final_norm=self.model.final_norm,
            embedding_norm=self.model.embedding_norm is not None,
            optimizer=optimizer,
            float64=self.dtype == torch.float64,
        )


def describe_gpt(model: GPT) -> GPTDescription:
    """Read the network that a GPT is.

    Raises:
        UnsupportedModelError: the engine does not cover the model; the message says why.

    """
    try:
        check_plain(model)
    except UnreadLayersError as error:
        refuse_model(str(error))
    if type(model) is not GPT:
        refuse_model(f"{type(model).__name__} is a subclass of GPT")
    if model.dropout > 0:
        refuse_model(
            f"its dropout is {model.dropout:g}, and the engine, which computes equal prefixes once, drops nothing"
        )
    _check_layers(model)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.LayerNorm | nn.RMSNorm)]
    network = GPTDescription(model, norms[0].eps or 0.0)  # an RMS norm's eps may be None
    if any(norm.eps != network.eps or not norm.eps > 0 for norm in norms):
        refuse_model("its norms have different eps, or one that is not positive")
    check_tensors(model, network.dtype, network.parameters())
    return network


def _blocks(model: GPT) -> list[Any]:
    return list(model.blocks)


def _layers(block: Block) -> tuple[Any, ...]:
    """The layers of a block that have parameters, in the order in which the engine takes them."""
    attention = block.attention
    return (
        block.norm_1,
        attention.projections[0],
        attention.output[0],
        block.norm_2,
        block.network[0],
        block.network[2],
    )


def _check_layers(model: Any) -> None:
    """Check that the layers are those that the GPT's constructor makes, with the same sizes."""
    width = model.embedding_dim
    norm = nn.RMSNorm if model.norm_kind == "rms" else nn.LayerNorm
    expected: list[tuple[Any, type[nn.Module], tuple[int, ...]]] = [
        (model.token_embedding, nn.Embedding, (model.vocab_size, width)),
        (model.position_embedding, nn.Embedding, (model.block_size, width)),
        (model.head, nn.Linear, (model.vocab_size, width)),
    ]
    if model.embedding_norm is not None:
        expected.append((model.embedding_norm, norm, (width,)))
    if model.final_norm:
        expected.append((model.norm, norm, (width,)))
    elif type(model.norm) is not nn.Identity:
        refuse_model(f"a {type(model.norm).__name__} stands before its head, and its final_norm is False")
    if len(model.blocks) != model.num_layers:
        refuse_model(f"it has {len(model.blocks)} blocks, and its num_layers is {model.num_layers}")
    for block in _blocks(model):
        if type(block) is not Block or type(block.attention) is not CausalSelfAttention:
            refuse_model(f"a block is a {type(block).__name__}, or its attention another than the GPT's own")
        attention: Any = block.attention
        network: Any = block.network
        _check_sequential(attention.projections, nn.Linear, nn.Unflatten)
        _check_sequential(attention.output, nn.Linear, nn.Dropout)
        activation = nn.ReLU if model.activation == "relu" else nn.GELU
        _check_sequential(network, nn.Linear, activation, nn.Linear, nn.Dropout)
        approximate = getattr(network[1], "approximate", "none")
        if (approximate == "tanh") != (model.activation == "gelu-tanh"):
            refuse_model(f"a GELU is approximated by {approximate}, and its activation is {model.activation}")
        hidden = network[0].out_features
        expected += [
            (block.norm_1, norm, (width,)),
            (attention.projections[0], nn.Linear, (3 * width, width)),
            (attention.output[0], nn.Linear, (width, width)),
            (block.norm_2, norm, (width,)),
            (network[0], nn.Linear, (hidden, width)),
            (network[2], nn.Linear, (width, hidden)),
        ]
        if hidden != _blocks(model)[0].network[0].out_features:
            refuse_model("its blocks have different sizes")
        heads = tuple(attention.projections[1].unflattened_size)
        if heads != (3, model.num_heads, width // model.num_heads):
            refuse_model(f"an attention's projections are split into {heads}")
        if attention.dropout > 0 or attention.output[1].p > 0 or network[3].p > 0:
            refuse_model(
                "a block has dropout, and the engine, which computes equal prefixes once, drops nothing"
            )
    if model.drop.p > 0:
        refuse_model("it has dropout, and the engine, which computes equal prefixes once, drops nothing")
    for layer, kind, size in expected:
        if type(layer) is not kind:
            refuse_model(f"a layer is a {type(layer).__name__}, where a {kind.__name__} is expected")
        weight: Any = layer.weight
        normalized: Any = getattr(layer, "normalized_shape", None)
        if (weight is None) != (kind is nn.RMSNorm):
            refuse_model("a layer norm has no weight, or an RMS norm has one")
        if kind is nn.RMSNorm:
            if tuple(normalized) != size:
                refuse_model(f"an RMS norm is over {tuple(normalized)}, where {size} is expected")
            continue
        if tuple(weight.shape) != size:
            refuse_model(f"a {kind.__name__} has a weight {tuple(weight.shape)}, where {size} is expected")
        wanted = model.biases and layer is not model.head
        if kind is not nn.Embedding and (layer.bias is not None) != wanted:
            refuse_model(
                f"a {kind.__name__} has {'no' if wanted else 'a'} bias, where its biases say otherwise"
            )
        if kind is nn.Embedding and (
            layer.padding_idx is not None
            or layer.max_norm is not None
            or layer.scale_grad_by_freq
            or layer.sparse
        ):
            refuse_model("an embedding has padding_idx, max_norm, scale_grad_by_freq or sparse gradients")
    if (model.head.weight is model.token_embedding.weight) != model.tied:
        refuse_model(f"its tied is {model.tied}, and its head's weight is another than that says")


def _check_sequential(layers: Any, *kinds: type[nn.Module]) -> None:
    if stock_class(layers) is not nn.Sequential or tuple(type(layer) for layer in layers) != kinds:
        refuse_model(f"a block has other layers than {', '.join(kind.__name__ for kind in kinds)}")
