"""Reads off a module what the native sampler asks: a network, a counting model, a GPT, or a mixture of them.

models/layers.py says how layers are read. Batch norms in evaluation are folded into the linear layers before them. Then
some contexts are tried, to see whether the model computes what its layers say.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from namegen_ext.models import layers
from namegen_ext.models.conditioned import ConditionedModel
from namegen_ext.models.count_model import CountModel
from namegen_ext.models.gpt import GPT
from namegen_ext.models.layouts import GPT_NORM_EPS, CountsLayout, GptLayout, model_layout
from namegen_ext.models.mixture import Mixture
from namegen_ext.models.model_sizes import block_size_of
from namegen_ext.models.ngram import ContextNumber
from namegen_ext.models.plain_gpt import check_plain_gpt
from namegen_ext.nn.plain_calls import stock_class
from namegen_ext.sampling.distribution import ModelDistribution
from namegen_ext.sampling.native import native_predictor
from namegen_ext.sampling.predictors import Counts, Gpt, Predictor, conditioned_predictor
from namegen_ext.sampling.predictors import Mixture as MixturePredictor
from namegen_ext.sampling.sampling_errors import NotCoveredError
from namegen_ext.sampling.sampling_network import BatchNorm, Level, Network, folded_level, logits

_TRIED_CONTEXTS = 64
# Two orders of summation in float32 differ by about 1e-6 of the largest logit, two different functions by about 1.
_TOLERANCE = 1e-4

_WITHOUT_EFFECT = (nn.Dropout, nn.Identity)  # in evaluation


def read_predictor(direct: ModelDistribution) -> Predictor:
    """Read a model.

    Raises:
        NotCoveredError: there are layers that are not covered, or it computes something else than they do.
        SamplingError: the model's logits are not all finite.

    """
    model = direct.model
    if isinstance(model, ConditionedModel):
        _check_untouched(model, ConditionedModel)
        base = model.base
        marked = max(model.mark + 1, int(getattr(base, "vocab_size", 0)))
        read = read_predictor(ModelDistribution(base, marked, block_size_of(base), direct.shaping))
        return conditioned_predictor(read, model.mark, model.vocab_size)
    if isinstance(model, GPT):
        return _gpt(model, direct)
    if not isinstance(model, (CountModel, Mixture)):
        return read_network(direct)
    if (model.vocab_size, model.block_size) != (direct.vocab_size, direct.block_size):
        raise NotCoveredError(f"it is not made for {direct.vocab_size} symbols")
    _check_untouched(model)
    if isinstance(model, CountModel):
        return _counts(model)
    components = tuple(_component(component, direct) for component in model.components)
    buffers = {name: _array(buffer) for name, buffer in model.named_buffers(recurse=False)}
    return MixturePredictor(
        model.block_size,
        components,
        buffers["weights"],
        buffers["known_keys"],
        buffers["known_adjustments"],
    )


def _component(model: nn.Module, direct: ModelDistribution) -> Network | Counts | Gpt:
    if isinstance(model, CountModel):
        _check_untouched(model)
        return _counts(model)
    block_size = block_size_of(model)
    alone = ModelDistribution(model, direct.vocab_size, block_size, direct.shaping)
    return _gpt(model, alone) if isinstance(model, GPT) else read_network(alone)


def _gpt(model: GPT, direct: ModelDistribution) -> Gpt:
    if (model.vocab_size, model.block_size) != (direct.vocab_size, direct.block_size):
        raise NotCoveredError(
            f"it is not made for {direct.vocab_size} symbols and block_size {direct.block_size}"
        )
    try:
        check_plain_gpt(model)
    except layers.UnreadLayersError as error:
        raise NotCoveredError(str(error)) from None
    layout = model_layout("gpt", model.config)
    assert isinstance(layout, GptLayout)
    state = model.state_dict()
    for name, shape in layout.parameters().items():
        tensor = state[name]
        if tensor.device.type != "cpu":
            raise NotCoveredError("the model is not on the CPU")
        if (
            tensor.dtype not in (torch.float32, torch.float64)
            or tensor.dtype != model.token_embedding.weight.dtype
        ):
            raise NotCoveredError(f"{name} is {tensor.dtype}, not float32 or float64 as all its parameters")
        if tuple(tensor.shape) != shape:
            raise NotCoveredError(f"{name} is {tuple(tensor.shape)}, not {shape}")
    gpt = Gpt(layout, GPT_NORM_EPS, tuple(_array(state[name]) for name in layout.parameters()))
    contexts, expected = _tried(direct)
    _compare(native_predictor(gpt).logits(contexts), expected)
    return gpt


def _check_untouched(model: nn.Module, *expected: type[nn.Module]) -> None:
    """See that the class's own forward runs, without hooks, on the CPU."""
    try:
        layers.check_plain(model)
    except layers.UnreadLayersError as error:
        raise NotCoveredError(str(error)) from None
    if type(model) not in (expected or (CountModel, Mixture)):
        raise NotCoveredError(
            f"{type(model).__name__} may compute something else than the class that it is made of"
        )
    if any(buffer.device.type != "cpu" for buffer in model.buffers()):
        raise NotCoveredError("the model is not on the CPU")


def _counts(model: CountModel) -> Counts:
    layout = model_layout("ngram", model.config)
    assert isinstance(layout, CountsLayout)
    return Counts(layout, {name: _array(buffer) for name, buffer in model.named_buffers()})


def read_network(direct: ModelDistribution) -> Network:
    """Read a model's layers, and check on some contexts that the model computes what they say.

    Raises:
        NotCoveredError: they are not, or there are some that are not covered.
        SamplingError: the model's logits are not all finite.

    """
    model = direct.model
    try:
        layers.check_plain(model)
        if any(tensor.device.type != "cpu" for tensor in chain(model.parameters(), model.buffers())):
            raise NotCoveredError("the model is not on the CPU")
        network = _read(_sequential(model), direct)
    except layers.UnreadLayersError as error:
        raise NotCoveredError(str(error)) from None
    _try_out(network, direct)
    return network


def _sequential(model: nn.Module) -> nn.Sequential:
    """Find the nn.Sequential: the model itself, or the one child of a model with nothing beside it."""
    children = list(model.children())
    alone = len(children) == 1 and not model._parameters and not model._buffers
    for candidate in (model, children[0] if alone else None):
        if candidate is not None and stock_class(candidate) is nn.Sequential:
            assert isinstance(candidate, nn.Sequential)
            return candidate
    raise NotCoveredError(f"{type(model).__name__} is not one nn.Sequential of layers")


def _read(sequential: nn.Sequential, direct: ModelDistribution) -> Network:
    first, *rest = sequential or [None]
    if type(first) is ContextNumber:
        if len(rest) != 1 or type(rest[0]) is not nn.Embedding:
            raise NotCoveredError("the numbers of contexts are not followed by one nn.Embedding")
        return _table(rest[0], direct)
    read = layers.read_layers(sequential, direct.block_size, ignored=_WITHOUT_EFFECT)
    _check_embedding(read.embedding)
    if not read.levels:
        if direct.block_size != 1:
            raise NotCoveredError("its layers do not end with a linear layer over the whole context")
        return _table(read.embedding, direct)
    network = Network(
        direct.block_size,
        _float32(read.embedding.weight, "the embedding"),
        tuple(_folded(level) for level in read.levels),
    )
    if len(network.embedding) != direct.vocab_size or len(network.levels[-1].bias) != direct.vocab_size:
        raise NotCoveredError(f"its embedding or its last layer is not made for {direct.vocab_size} symbols")
    return network


def _table(embedding: nn.Embedding, direct: ModelDistribution) -> Network:
    """Read an embedding of contexts whose rows are the logits."""
    _check_embedding(embedding)
    shape = (direct.vocab_size**direct.block_size, direct.vocab_size)
    if tuple(embedding.weight.shape) != shape:
        raise NotCoveredError(
            f"its embedding alone gives no logits: it is {tuple(embedding.weight.shape)}, not {shape}"
        )
    return Network(direct.block_size, _float32(embedding.weight, "the embedding"))


def _check_embedding(embedding: nn.Embedding) -> None:
    if embedding.max_norm is not None:
        raise NotCoveredError("its first layer is not an nn.Embedding without max_norm")


def _folded(level: layers.Level) -> Level:
    """Read one level, its batch norm folded in."""
    linear = level.linear
    return folded_level(
        level.group,
        _float32(linear.weight, "a linear layer"),
        None if linear.bias is None else _array(linear.bias),
        tanh=level.tanh,
        batch_norm=None if level.batch_norm is None else _batch_norm(level.batch_norm),
    )


def _batch_norm(norm: nn.BatchNorm1d) -> BatchNorm:
    if norm.running_mean is None or norm.running_var is None:
        raise NotCoveredError("a batch norm keeps no running statistics")
    return BatchNorm(
        mean=_array(norm.running_mean),
        var=_array(norm.running_var),
        eps=norm.eps,
        weight=None if norm.weight is None else _array(norm.weight),
        bias=None if norm.bias is None else _array(norm.bias),
    )


def _float32(weight: Tensor, what: str) -> Any:
    if weight.dtype != torch.float32:
        raise NotCoveredError(f"{what} is {str(weight.dtype).removeprefix('torch.')}, not float32")
    return _array(weight)


def _array(tensor: Tensor) -> Any:
    # A copy, so that the names of a stream do not change with a model that goes on training.
    values = tensor.detach()
    if type(values) is not Tensor:  # such as torchao's quantised weights
        raise NotCoveredError(f"a weight is a {type(values).__name__}")
    if values.dtype in (torch.bfloat16, torch.float16):  # numpy has no bfloat16
        values = values.double()
    return np.array(values.numpy())


def _try_out(network: Network, direct: ModelDistribution) -> None:
    contexts, expected = _tried(direct)
    try:
        found = logits(network, contexts)  # (N, V)
    except ValueError as error:  # shapes that do not fit
        raise NotCoveredError(f"its layers do not follow on each other ({error})") from None
    _compare(found, expected)


def _tried(direct: ModelDistribution) -> tuple[Any, Any]:
    """Ask the module: some contexts (N, block_size), and the logits (N, V) behind them."""
    generator = torch.Generator().manual_seed(0)
    contexts = torch.randint(
        direct.vocab_size, (_TRIED_CONTEXTS, direct.block_size), generator=generator, device="cpu"
    )
    return contexts.numpy(), direct.logits(contexts).double().numpy()


def _compare(found: Any, expected: Any) -> None:
    if not np.allclose(found, expected, rtol=0, atol=_TOLERANCE * (1 + float(np.abs(expected).max()))):
        raise NotCoveredError("it computes something else than its layers one after another")
