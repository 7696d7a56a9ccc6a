"""Embedding, concatenation, linear layer and tanh as one operator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators

ACTIVATIONS = ("none", "tanh")

_embedding_concat_linear = torch.ops.namegen_ext.embedding_concat_linear.default
# A quicker way to the same operator, without the conversion of arguments. It returns NotImplemented where the operator
# above must be called.
_fast_embedding_concat_linear = _operators.embedding_concat_linear


def embedding_concat_linear(
    tokens: Tensor,
    embedding_weight: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None = None,
    activation: str = "tanh",
) -> Tensor:
    """Look up each token's embedding, concatenate them, apply a linear layer and an activation, in one pass.

    The result equals that of :func:`embedding_concat_linear_reference` to rounding:

        y = activation(concat(embedding_weight[token] for each token) @ linear_weight.T + linear_bias)

    A token takes one of V values, so each position contributes one of V rows to the sum. Where symbols repeat within a
    batch, the products are formed once for each symbol and not for each example, and the backward pass sums the
    gradients of a symbol before it multiplies. The result has the same bits on every run and for any number of threads.

    bfloat16 and float16 are computed in float32. Where symbols hardly repeat, bfloat16 is left to the products of the
    stock layers on a CPU that has instructions for it. The operator takes no more of torch's memory than the stock
    layers do: where a kernel would take more, it uses their products.

    Args:
        tokens: (..., block_size), int64, int32 or uint8, with values in [0, V).
        embedding_weight: (V, E), float32, float64, bfloat16 or float16.
        linear_weight: (H, block_size * E), as in ``torch.nn.Linear``, with the dtype of the embedding.
        linear_bias: (H,) with the same dtype, or None.
        activation: "tanh" or "none".

    Returns:
        (..., H), with the dtype of the weights. It can be differentiated twice with respect to the three weights.

    Raises:
        IndexError: a token lies outside [0, V).
        RuntimeError: a shape, dtype or device does not fit. The message names the argument.
        ValueError: ``activation`` is neither "none" nor "tanh".

    Source: the embedding and hidden layer of Bengio et al., "A Neural Probabilistic Language Model", 2003.

    Example:
        >>> import torch
        >>> from namegen_ext.ops import embedding_concat_linear
        >>> tokens = torch.tensor([[0, 1], [2, 2]])  # (B, block_size)
        >>> embedding = torch.tensor([[1.0], [2.0], [3.0]])  # (V, E)
        >>> weight = torch.tensor([[1.0, 10.0]])  # (H, block_size * E)
        >>> embedding_concat_linear(tokens, embedding, weight, activation="none")
        tensor([[21.],
                [33.]])

    """
    if not is_dynamo_compiling():
        result = _fast_embedding_concat_linear(
            tokens, embedding_weight, linear_weight, linear_bias, activation
        )
        if result is not NotImplemented:
            return result
    return _embedding_concat_linear(tokens, embedding_weight, linear_weight, linear_bias, activation)


def embedding_concat_linear_reference(
    tokens: Tensor,
    embedding_weight: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None = None,
    activation: str = "tanh",
) -> Tensor:
    """Compute what :func:`embedding_concat_linear` computes, in stock PyTorch: the readable reference.

    The arguments, the result and the source are those of :func:`embedding_concat_linear`. Errors are PyTorch's own.

    Raises:
        ValueError: ``activation`` is neither "none" nor "tanh".

    Example:
        >>> import torch
        >>> from namegen_ext.ops import embedding_concat_linear, embedding_concat_linear_reference
        >>> arguments = torch.randint(27, (8, 3)), torch.rand(27, 10), torch.rand(4, 30), torch.rand(4)
        >>> expected = embedding_concat_linear_reference(*arguments)
        >>> torch.testing.assert_close(embedding_concat_linear(*arguments), expected)

    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}")
    embedded = F.embedding(tokens, embedding_weight)  # (..., block_size, E)
    concatenated = embedded.flatten(-2)  # (..., block_size * E)
    hidden = F.linear(concatenated, linear_weight, linear_bias)  # (..., H)
    return torch.tanh(hidden) if activation == "tanh" else hidden
