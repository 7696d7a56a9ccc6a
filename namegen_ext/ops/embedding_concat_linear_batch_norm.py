"""Embedding, concatenation, linear layer, batch normalisation and tanh as one operator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators
from namegen_ext.ops.batch_norm import batch_norm_reference
from namegen_ext.ops.embedding_concat_linear import embedding_concat_linear_reference

_embedding_concat_linear_batch_norm = torch.ops.namegen_ext.embedding_concat_linear_batch_norm.default
# A quicker way to the same operator, without the conversion of arguments. It returns NotImplemented where the operator
# above must be called.
_fast_embedding_concat_linear_batch_norm = _operators.embedding_concat_linear_batch_norm


def embedding_concat_linear_batch_norm(
    tokens: Tensor,
    embedding_weight: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    activation: str = "none",
) -> Tensor:
    """Compute :func:`embedding_concat_linear` without activation, then :func:`batch_norm`, in one pass.

    The result equals that of :func:`embedding_concat_linear_batch_norm_reference` to rounding:

        z = concat(embedding_weight[token] for each token) @ linear_weight.T + linear_bias
        y = activation((z - mean) / sqrt(var + eps) * weight + bias)

    z is a sum of one row for each position, of which there are V. So its mean follows from how often symbols occur, its
    variance from how often pairs of symbols occur together, and both gradients of batch norm from sums over the
    examples that share a symbol. Neither z nor its gradient is stored. That is done in float32 and float64 on the CPU,
    where there are more contexts than symbols. All else is computed by the two operators, one after the other.

    The result has the same bits on every run and for any number of threads.

    Args:
        tokens: (..., block_size), int64, int32 or uint8, with values in [0, V); at least 2-D.
        embedding_weight: (V, E), float32, float64, bfloat16 or float16.
        linear_weight: (H, block_size * E), as in ``torch.nn.Linear``, with the dtype of the embedding.
        linear_bias: (H,) with the same dtype, or None.
        running_mean: (H,) or None; updated in place in training.
        running_var: (H,) or None; updated in place in training.
        weight: (H,) or None, which counts as ones.
        bias: (H,) or None, which counts as zeros.
        training: whether to normalise with the statistics of the batch.
        momentum: the share of the batch in the new running statistics, in [0, 1].
        eps: the number that is added to the variance.
        activation: "none" or "tanh".

    Returns:
        (..., H), with the dtype of the weights. It can be differentiated twice with respect to the three weights of the
        linear layer, weight and bias.

    Raises:
        IndexError: a token lies outside [0, V).
        ValueError: in training, there is one context, eps is not above 0, or only one of the running statistics is
            given; or ``activation`` is unknown.
        RuntimeError: a shape, dtype or device does not fit. The message names the argument.

    Sources: Bengio et al., "A Neural Probabilistic Language Model", 2003; Ioffe and Szegedy, "Batch Normalization",
    2015.

    Example:
        >>> import torch
        >>> from namegen_ext.ops import embedding_concat_linear_batch_norm
        >>> tokens = torch.tensor([[0, 1], [2, 2]])  # (B, block_size)
        >>> embedding = torch.tensor([[1.0], [2.0], [3.0]])  # (V, E)
        >>> weight = torch.tensor([[1.0, 10.0]])  # (H, block_size * E): z is 21 and 33
        >>> embedding_concat_linear_batch_norm(
        ...     tokens, embedding, weight, None, None, None, None, None, training=True, momentum=0.1, eps=1e-5
        ... )
        tensor([[-1.0000],
                [ 1.0000]])

    """
    arguments = (
        tokens,
        embedding_weight,
        linear_weight,
        linear_bias,
        running_mean,
        running_var,
        weight,
        bias,
        training,
        momentum,
        eps,
        activation,
    )
    if not is_dynamo_compiling():
        result = _fast_embedding_concat_linear_batch_norm(*arguments)
        if result is not NotImplemented:
            return result
    return _embedding_concat_linear_batch_norm(*arguments)


def embedding_concat_linear_batch_norm_reference(
    tokens: Tensor,
    embedding_weight: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    activation: str = "none",
) -> Tensor:
    """Compute what :func:`embedding_concat_linear_batch_norm` computes, in stock PyTorch: the readable reference.

    The arguments, the result and the sources are those of :func:`embedding_concat_linear_batch_norm`. Errors are
    PyTorch's own.

    Raises:
        ValueError: ``activation`` is unknown.

    Example:
        >>> import torch
        >>> from namegen_ext.ops import (
        ...     embedding_concat_linear_batch_norm,
        ...     embedding_concat_linear_batch_norm_reference,
        ... )
        >>> weights = torch.rand(27, 10), torch.rand(4, 30), torch.rand(4)
        >>> arguments = torch.randint(27, (99, 3)), *weights, None, None, None, None, True, 0.1, 1e-5, "tanh"
        >>> expected = embedding_concat_linear_batch_norm_reference(*arguments)
        >>> torch.testing.assert_close(embedding_concat_linear_batch_norm(*arguments), expected, atol=1e-4, rtol=1e-4)

    """
    z = embedding_concat_linear_reference(
        tokens, embedding_weight, linear_weight, linear_bias, "none"
    )  # (..., H)
    return batch_norm_reference(
        z, running_mean, running_var, weight, bias, training, momentum, eps, activation
    )  # (..., H)
