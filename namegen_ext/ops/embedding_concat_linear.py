"""Embedding, concatenation, linear layer and tanh as one operator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators

ACTIVATIONS = ("none", "tanh")

_embedding_concat_linear = torch.ops.namegen_ext.embedding_concat_linear.default
# The same operator without the conversion of arguments, where it is not needed.
_fast_embedding_concat_linear = _operators.embedding_concat_linear


def embedding_concat_linear(
    tokens: Tensor,
    embedding_weight: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None = None,
    activation: str = "tanh",
) -> Tensor:
    """Look up each token's embedding, concatenate them, apply a linear layer and an activation, in one pass.

    Equal to :func:`embedding_concat_linear_reference`. A token takes one of V values, so each position
    contributes one of V rows: where symbols repeat within a batch, the products are formed once per symbol
    instead of once per example, and the backward pass sums gradients per symbol before it multiplies. The
    result has the same bits on every run and for any number of threads. bfloat16 and float16 are computed in
    float32; where symbols hardly repeat, bfloat16 is left to the stock layers' products on a CPU that has
    instructions for it. It takes no more of torch's memory than the stock layers: where a kernel would, their
    products are taken.

    Args:
        tokens: (..., block_size), int64, int32 or uint8, values in [0, V).
        embedding_weight: (V, E), float32, float64, bfloat16 or float16.
        linear_weight: (H, block_size * E), as in ``torch.nn.Linear``.
        linear_bias: (H,) or None.
        activation: "tanh" or "none".

    Returns:
        (..., H), the dtype of the weights. Differentiable, twice too, in the three weights.

    Raises:
        IndexError: a token lies outside [0, V).
        RuntimeError: a shape, dtype or device does not fit; the message names the argument.
        ValueError: ``activation`` is neither "none" nor "tanh".

    Source: the embedding and hidden layer of Bengio et al., "A Neural Probabilistic Language Model", 2003.

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
    """Compute what :func:`embedding_concat_linear` computes, in stock PyTorch: the readable reference."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}")
    embedded = F.embedding(tokens, embedding_weight)  # (..., block_size, E)
    concatenated = embedded.flatten(-2)  # (..., block_size * E)
    hidden = F.linear(concatenated, linear_weight, linear_bias)  # (..., H)
    return torch.tanh(hidden) if activation == "tanh" else hidden
