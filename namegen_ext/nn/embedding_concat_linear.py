"""Embedding, concatenation, linear layer and activation as one module."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.nn.conditions import why_not_tensor
from namegen_ext.nn.plain_calls import why_not_now
from namegen_ext.ops import embedding_concat_linear, embedding_concat_linear_reference

ACTIVATIONS = ("none", "tanh")


class FusedEmbeddingConcatLinear(nn.Module):
    """Embed each token of a context, concatenate the embeddings, apply a linear layer and an activation.

    It computes what ``nn.Sequential(nn.Embedding(V, E), nn.Flatten(-2), nn.Linear(block_size * E, H), nn.Tanh())``
    computes, in one operator. From the same seed, its parameters have the same bits as those of these layers, when they
    are made in this order.

    Where the operator has no kernel for the device of the parameters, and under torch.func transforms and forward-mode
    differentiation, the module runs the same arithmetic in stock PyTorch.

    Args:
        num_embeddings: V, the number of symbols.
        embedding_dim: E, the size of an embedding.
        block_size: the number of tokens of a context.
        out_features: H, the size of the result.
        bias: whether the linear layer adds a bias.
        activation: "tanh" or "none".
        device: the device of the parameters.
        dtype: the dtype of the parameters, a floating-point type.

    Shape:
        - tokens: (..., block_size), int64 or int32, with values in [0, V).
        - result: (..., H), with the dtype of the parameters.

    Attributes:
        embedding_weight: (V, E), drawn from N(0, 1).
        linear_weight: (H, block_size * E), drawn from U(-k, k) with k = 1 / sqrt(block_size * E).
        linear_bias: (H,), drawn from the same U(-k, k); None with ``bias=False``.

    Raises:
        ValueError: a size is not a positive integer, or ``activation`` is unknown.

    Source: the embedding and hidden layer of Bengio et al., "A Neural Probabilistic Language Model", 2003.

    Example:
        >>> import torch
        >>> from namegen_ext.nn import FusedEmbeddingConcatLinear
        >>> layer = FusedEmbeddingConcatLinear(27, embedding_dim=10, block_size=3, out_features=200)
        >>> layer(torch.tensor([[0, 5, 13], [5, 13, 13]])).shape
        torch.Size([2, 200])

    """

    linear_bias: Tensor | None

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        block_size: int,
        out_features: int,
        bias: bool = True,
        activation: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = {
            "num_embeddings": num_embeddings,
            "embedding_dim": embedding_dim,
            "block_size": block_size,
            "out_features": out_features,
        }
        for name, size in sizes.items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ValueError(f"{name} must be a positive integer, but got {size!r}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.block_size = block_size
        self.out_features = out_features
        self.activation = activation

        in_features = block_size * embedding_dim
        self.embedding_weight = nn.Parameter(
            torch.empty(num_embeddings, embedding_dim, device=device, dtype=dtype)
        )  # (V, E)
        self.linear_weight = nn.Parameter(
            torch.empty(out_features, in_features, device=device, dtype=dtype)
        )  # (H, block_size * E)
        if bias:
            self.linear_bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))  # (H,)
        else:
            self.register_parameter("linear_bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new parameters, in the order and from the distributions of nn.Embedding and nn.Linear."""
        nn.init.normal_(self.embedding_weight)
        nn.init.kaiming_uniform_(
            self.linear_weight, a=math.sqrt(5)
        )  # U(-k, k), drawn in the way of nn.Linear
        if self.linear_bias is not None:
            bound = 1 / math.sqrt(self.block_size * self.embedding_dim)
            nn.init.uniform_(self.linear_bias, -bound, bound)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute the layer.

        Args:
            tokens: (..., block_size), int64 or int32.

        Returns:
            (..., H), with the dtype of the parameters.

        Raises:
            IndexError: a token lies outside [0, V).
            RuntimeError: the last dimension of ``tokens`` is not ``block_size``, or a dtype does not fit.

        """
        parameters: dict[str, Any] = self._parameters  # nn.Module's attribute access is slow
        try:
            embedding_weight = parameters["embedding_weight"]  # (V, E)
            linear_weight = parameters["linear_weight"]  # (H, block_size * E)
            linear_bias = parameters["linear_bias"]  # (H,)
        except KeyError:  # pruning and replicas do not keep every tensor among the parameters
            embedding_weight = self.embedding_weight
            linear_weight = self.linear_weight
            linear_bias = self.linear_bias
        fused = (
            why_not_tensor("embedding_concat_linear", embedding_weight) is None
            and why_not_tensor("embedding_concat_linear", linear_weight) is None
            and why_not_now() is None
        )
        compute = embedding_concat_linear if fused else embedding_concat_linear_reference
        return compute(tokens, embedding_weight, linear_weight, linear_bias, self.activation)

    def extra_repr(self) -> str:
        """Show the sizes as the constructor takes them."""
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, block_size={self.block_size}, "
            f"out_features={self.out_features}, bias={self.linear_bias is not None}, "
            f"activation={self.activation!r}"
        )
