"""The sequences of layers that run as one operator. The docstring of ``namegen_ext.fusion`` says how to add one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.nn.batch_norm import batch_norm_1d, batch_norm_channels_last
from namegen_ext.nn.channels_last_batch_norm import ChannelsLastBatchNorm1d
from namegen_ext.nn.conditions import FLOATING_POINT, PLAIN_TENSORS, why_not_tensor
from namegen_ext.nn.embedding_concat_linear_batch_norm import KERNEL_TYPES, embedding_linear_batch_norm
from namegen_ext.nn.flatten_consecutive import FlattenConsecutive
from namegen_ext.ops import embedding_concat_linear, why_not_supported
from namegen_ext.ops import linear as linear_operator

TOKENS = (torch.int64, torch.int32)  # the dtypes that nn.Embedding takes
LINEAR_TYPES = (torch.float32, torch.float64)  # the dtypes that linear has kernels for
# The operator linear first packs the weight into the layout of its kernels. For an input of few rows, that takes longer
# than it saves. So the operator runs for LINEAR_ROWS rows or more, and for LARGE_WEIGHT_ROWS or more where the weight
# has more than LARGE_WEIGHT values, which the L2 cache does not hold. Measured:
#     18 us with PyTorch's product, 41 us with the operator (1 row, weight 512 x 512);
#     66 us with PyTorch's product, 47 us with the operator (8 rows, weight 512 x 512);
#     1.5 ms with PyTorch's product, 1.8 ms with the operator (8 rows, weight 2,048 x 2,048);
#     3.6 ms with PyTorch's product, 2.8 ms with the operator (32 rows, weight 2,048 x 2,048).
LINEAR_ROWS, LARGE_WEIGHT, LARGE_WEIGHT_ROWS = 8, 1 << 20, 32


@dataclass(frozen=True)
class Pattern:
    """Neighbouring children of an nn.Sequential that one operator call computes.

    Attributes:
        operator: the name of the operator in ``namegen_ext.ops``.
        types: the exact classes of the children, in order.
        why_not: takes the modules; returns None, or the reason why these modules cannot be fused.
        run: takes the input and the modules; returns the result, or None where the stock layers must run.

    Example:
        >>> from namegen_ext.fusion import PATTERNS
        >>> [(pattern.operator, [one.__name__ for one in pattern.types]) for pattern in PATTERNS][-1]
        ('linear', ['Linear'])

    """

    operator: str
    types: tuple[type[nn.Module], ...]
    why_not: Callable[..., str | None]
    run: Callable[..., Tensor | None]


# ---- embedding, flatten, linear ----------------------------------------------------------------------------


def _why_not_embedding_concat_linear(
    embedding: nn.Embedding,
    flatten: nn.Flatten | FlattenConsecutive,
    linear: nn.Linear,
    tanh: nn.Tanh | None = None,
) -> str | None:
    reason = _why_not_options(embedding)
    if reason is not None:
        return reason
    # Dimensions that are counted from the front are checked in each call, when the number of dimensions is known.
    if isinstance(flatten, nn.Flatten) and (
        flatten.end_dim < -1 or flatten.start_dim < -2 or flatten.start_dim == -1
    ):
        return f"Flatten({flatten.extra_repr()}) does not join the last two dimensions"
    if embedding.embedding_dim < 1 or linear.in_features % embedding.embedding_dim != 0:
        return f"in_features {linear.in_features} is no multiple of embedding_dim {embedding.embedding_dim}"
    try:
        weights = embedding._parameters["weight"], linear._parameters["weight"]  # (V, E), (H, block_size * E)
        linear._parameters["bias"]
    except KeyError as missing:
        return f"the {missing.args[0]} is not among the parameters"
    for weight in weights:
        reason = "a weight is None" if weight is None else why_not_tensor("embedding_concat_linear", weight)
        if reason is not None:
            return reason
    return None


def _why_not_options(embedding: nn.Embedding) -> str | None:
    if embedding.padding_idx is not None:
        return "the embedding has a padding_idx"
    if embedding.max_norm is not None:
        return "the embedding has a max_norm"
    if embedding.scale_grad_by_freq:
        return "the embedding has scale_grad_by_freq"
    if embedding.sparse:
        return "the embedding has sparse gradients"
    return None


def _run_embedding_concat_linear(
    tokens: Tensor,
    embedding: nn.Embedding,
    flatten: nn.Flatten | FlattenConsecutive,
    linear: nn.Linear,
    tanh: nn.Tanh | None = None,
) -> Tensor | None:
    contexts = _contexts(tokens, flatten)  # (..., block_size)
    weights = None if contexts is None else _weights(contexts, embedding, linear)
    if contexts is None or weights is None:
        return None
    # Weights whose shapes, dtypes or devices do not fit end in an error here, as they do with the stock layers.
    return embedding_concat_linear(contexts, *weights, "none" if tanh is None else "tanh")


def _contexts(tokens: Tensor, flatten: nn.Flatten | FlattenConsecutive) -> Tensor | None:
    """Return the tokens as (..., block_size), or None where the flattening does not join block_size embeddings."""
    if type(tokens) not in PLAIN_TENSORS:
        return None
    last = tokens.dim()  # the last dimension of the embedded tokens (..., block_size, E)
    if last < 1:
        return None
    if isinstance(flatten, nn.Flatten):
        joins = flatten.start_dim in (-2, last - 1) and flatten.end_dim in (-1, last)
        return tokens if joins else None
    length, factor = tokens.shape[-1], flatten.factor
    if length % factor != 0 or length == 0:
        return None
    return tokens if length == factor else tokens.unflatten(-1, (length // factor, factor))  # a view


def _weights(
    contexts: Tensor, embedding: nn.Embedding, linear: nn.Linear
) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """Return the weights (V, E), (H, block_size * E) and (H,), or None where the stock layers must run."""
    if contexts.dtype not in TOKENS or _why_not_options(embedding) is not None:
        return None
    try:
        embedding_weight: Any = embedding._parameters["weight"]
        linear_weight: Any = linear._parameters["weight"]
        linear_bias = linear._parameters["bias"]
    except KeyError:
        return None
    if type(embedding_weight) not in PLAIN_TENSORS or type(linear_weight) not in PLAIN_TENSORS:
        return None
    if embedding_weight.dtype not in FLOATING_POINT or linear_weight.layout is not torch.strided:
        return None
    device = None if embedding_weight.is_cpu else embedding_weight.device
    if device is not None and why_not_supported("embedding_concat_linear", device) is not None:
        return None
    return embedding_weight, linear_weight, linear_bias


# ---- embedding, concat, linear, batch norm -----------------------------------------------------------------


def _why_not_embedding_concat_linear_batch_norm(
    embedding: nn.Embedding,
    flatten: nn.Flatten | FlattenConsecutive,
    linear: nn.Linear,
    batch_norm: nn.BatchNorm1d,
    tanh: nn.Tanh | None = None,
) -> str | None:
    reason = _why_not_embedding_concat_linear(embedding, flatten, linear) or _why_not_batch_norm(batch_norm)
    if reason is not None:
        return reason
    weight = embedding.weight
    if weight.dtype not in KERNEL_TYPES or not weight.is_cpu:
        return f"for {weight.dtype} on {weight.device.type} its two operators run one after the other"
    return None


def _run_embedding_concat_linear_batch_norm(
    tokens: Tensor,
    embedding: nn.Embedding,
    flatten: nn.Flatten | FlattenConsecutive,
    linear: nn.Linear,
    batch_norm: nn.BatchNorm1d,
    tanh: nn.Tanh | None = None,
) -> Tensor | None:
    contexts = _contexts(tokens, flatten)  # (..., block_size)
    weights = None if contexts is None else _weights(contexts, embedding, linear)
    if contexts is None or weights is None:
        return None
    if isinstance(batch_norm, ChannelsLastBatchNorm1d):
        variance = batch_norm.variance
    elif contexts.dim() == 2:
        variance = "biased"
    else:
        return None  # nn.BatchNorm1d normalises another dimension
    activation = "none" if tanh is None else "tanh"
    return embedding_linear_batch_norm(contexts, *weights, batch_norm, activation, variance)


# ---- batch norm --------------------------------------------------------------------------------------------


def _why_not_batch_norm(batch_norm: nn.BatchNorm1d, tanh: nn.Tanh | None = None) -> str | None:
    try:
        weight, _ = batch_norm._parameters["weight"], batch_norm._parameters["bias"]  # (C,), (C,)
        running_mean = batch_norm._buffers["running_mean"]  # (C,)
        running_var = batch_norm._buffers["running_var"]  # (C,)
    except KeyError as missing:
        return f"the {missing.args[0]} is not among the parameters and buffers"
    if (running_mean is None) is not (running_var is None):
        return "one of running_mean and running_var is None"
    for tensor in (weight, running_mean):
        reason = None if tensor is None else why_not_tensor("batch_norm", tensor)
        if reason is not None:
            return reason
    return None


def _run_batch_norm(x: Tensor, batch_norm: nn.BatchNorm1d, tanh: nn.Tanh | None = None) -> Tensor | None:
    return batch_norm_1d(batch_norm, x, "none" if tanh is None else "tanh")


def _run_channels_last_batch_norm(
    x: Tensor, batch_norm: ChannelsLastBatchNorm1d, tanh: nn.Tanh | None = None
) -> Tensor | None:
    if not isinstance(x, Tensor) or x.dim() < 2 or x.numel() == 0:
        return None
    activation = "none" if tanh is None else "tanh"
    return batch_norm_channels_last(batch_norm, x, activation, batch_norm.variance)


# ---- linear ------------------------------------------------------------------------------------------------


def _why_not_linear(linear: nn.Linear) -> str | None:
    try:
        weight, _ = linear._parameters["weight"], linear._parameters["bias"]  # (H, K), (H,)
    except KeyError as missing:
        return f"the {missing.args[0]} is not among the parameters"
    if weight is None:
        return "a weight is None"
    if weight.dtype not in LINEAR_TYPES:
        return f"PyTorch's own product is used for {weight.dtype}"
    return why_not_tensor("linear", weight)


def _run_linear(x: Tensor, linear: nn.Linear) -> Tensor | None:
    if type(x) not in PLAIN_TENSORS or x.dtype not in LINEAR_TYPES or x.layout is not torch.strided:
        return None
    try:
        weight: Any = linear._parameters["weight"]  # (H, K)
        bias: Any = linear._parameters["bias"]  # (H,)
    except KeyError:
        return None
    if type(weight) not in PLAIN_TENSORS or weight.layout is not torch.strided:
        return None
    if not weight.is_cpu and why_not_supported("linear", weight.device) is not None:
        return None
    rows = LINEAR_ROWS if weight.numel() <= LARGE_WEIGHT else LARGE_WEIGHT_ROWS
    # An exported program takes any number of rows. A comparison would bind it to the rows of its example.
    if not torch.compiler.is_exporting() and x.numel() < rows * weight.shape[-1]:
        return None
    return linear_operator(x, weight, bias)


# Where two patterns start with the same layer, the longer one stands first.
_FLATTENINGS = (nn.Flatten, FlattenConsecutive)
_BATCH_NORMS = (nn.BatchNorm1d, ChannelsLastBatchNorm1d)

PATTERNS = (
    *(
        Pattern(
            operator="embedding_concat_linear_batch_norm",
            types=(nn.Embedding, flatten, nn.Linear, batch_norm, *tanh),
            why_not=_why_not_embedding_concat_linear_batch_norm,
            run=_run_embedding_concat_linear_batch_norm,
        )
        for flatten in _FLATTENINGS
        for batch_norm in _BATCH_NORMS
        for tanh in ((nn.Tanh,), ())
    ),
    *(
        Pattern(
            operator="embedding_concat_linear",
            types=(nn.Embedding, flatten, nn.Linear, *tanh),
            why_not=_why_not_embedding_concat_linear,
            run=_run_embedding_concat_linear,
        )
        for flatten in _FLATTENINGS
        for tanh in ((nn.Tanh,), ())
    ),
    Pattern(
        operator="batch_norm",
        types=(nn.BatchNorm1d, nn.Tanh),
        why_not=_why_not_batch_norm,
        run=_run_batch_norm,
    ),
    Pattern(
        operator="batch_norm",
        types=(nn.BatchNorm1d,),
        why_not=_why_not_batch_norm,
        run=_run_batch_norm,
    ),
    Pattern(
        operator="batch_norm",
        types=(ChannelsLastBatchNorm1d, nn.Tanh),
        why_not=_why_not_batch_norm,
        run=_run_channels_last_batch_norm,
    ),
    Pattern(
        operator="batch_norm",
        types=(ChannelsLastBatchNorm1d,),
        why_not=_why_not_batch_norm,
        run=_run_channels_last_batch_norm,
    ),
    Pattern(operator="linear", types=(nn.Linear,), why_not=_why_not_linear, run=_run_linear),
)
