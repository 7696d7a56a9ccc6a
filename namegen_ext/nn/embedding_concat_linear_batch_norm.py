"""Embedding, concatenation, linear layer, batch normalisation and an activation as one module."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.compiler import is_dynamo_compiling

from namegen_ext.nn.batch_norm import FusedBatchNorm1d, batch_norm_state
from namegen_ext.nn.conditions import PLAIN_TENSORS, why_not_tensor
from namegen_ext.nn.embedding_concat_linear import FusedEmbeddingConcatLinear
from namegen_ext.nn.plain_calls import all_plain, why_not_now
from namegen_ext.ops import embedding_concat_linear_batch_norm

# What the kernels compute; in other dtypes the two operators run one after the other.
KERNEL_TYPES = (torch.float32, torch.float64)


class FusedEmbeddingConcatLinearBatchNorm(nn.Module):
    """Embed each token of a context, concatenate the embeddings, apply a linear layer, batch norm and an activation.

    It computes ``nn.Sequential(nn.Embedding(V, E), nn.Flatten(-2), nn.Linear(block_size * E, H), nn.BatchNorm1d(H),
    nn.Tanh())`` in one operator. From the same seed, its parameters have the same bits as those of these layers, when
    they are made in this order.

    Its parts are modules, which hold the parameters. Where the operator does not take a call (lower precision, a device
    other than the CPU, fewer contexts than symbols, hooks on a part), the parts are called one after the other.

    Args:
        num_embeddings: V, the number of symbols.
        embedding_dim: E, the size of an embedding.
        block_size: the number of tokens of a context.
        out_features: H, the size of the result.
        bias: whether the linear layer adds a bias.
        eps: the number that is added to the variance.
        momentum: the share of a batch in the running statistics; None averages over all batches.
        affine: whether to learn a scale and a shift per channel.
        track_running_stats: whether to keep running statistics for evaluation.
        activation: "tanh" or "none".
        device: the device of the parameters and buffers.
        dtype: their dtype, a floating-point type.

    Shape:
        - tokens: (N, block_size), int64 or int32, with values in [0, V).
        - result: (N, H), with the dtype of the parameters.

    Attributes:
        linear: a FusedEmbeddingConcatLinear without activation.
        batch_norm: a FusedBatchNorm1d with the activation.

    Raises:
        ValueError: a size is not a positive integer, or ``activation`` is unknown.

    Sources: Bengio et al., "A Neural Probabilistic Language Model", 2003; Ioffe and Szegedy, "Batch Normalization",
    2015.

    Example:
        >>> import torch
        >>> from namegen_ext.nn import FusedEmbeddingConcatLinearBatchNorm
        >>> layer = FusedEmbeddingConcatLinearBatchNorm(27, embedding_dim=10, block_size=3, out_features=200)
        >>> layer(torch.randint(27, (32, 3))).shape
        torch.Size([32, 200])

    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        block_size: int,
        out_features: int,
        bias: bool = True,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        activation: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.linear = FusedEmbeddingConcatLinear(
            num_embeddings,
            embedding_dim,
            block_size,
            out_features,
            bias=bias,
            activation="none",
            device=device,
            dtype=dtype,
        )
        self.batch_norm = FusedBatchNorm1d(
            out_features, eps, momentum, affine, track_running_stats, activation, device, dtype
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute the layer.

        Args:
            tokens: (N, block_size), int64 or int32.

        Returns:
            (N, H), with the dtype of the parameters.

        Raises:
            IndexError: a token lies outside [0, V).
            ValueError: there is one context where the batch's own statistics are used.
            RuntimeError: ``tokens`` is not (N, block_size), or a dtype does not fit.

        """
        if all_plain((self.linear, self.batch_norm)) and why_not_now() is None and tokens.dim() == 2:
            weights = self.linear.embedding_weight, self.linear.linear_weight, self.linear.linear_bias
            result = embedding_linear_batch_norm(
                tokens, *weights, self.batch_norm, self.batch_norm.activation
            )
            if result is not None:
                return result
        normalised: Tensor = self.batch_norm(self.linear(tokens))
        return normalised


def embedding_linear_batch_norm(
    tokens: Tensor,
    embedding_weight: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    module: nn.BatchNorm1d,
    activation: str,
    variance: str = "biased",
) -> Tensor | None:
    """Run the fused operator with a batch-norm module over all dimensions but the last.

    Args:
        tokens: (..., block_size).
        embedding_weight: (V, E).
        linear_weight: (H, block_size * E).
        linear_bias: (H,) or None.
        module: the batch norm. Its parameters, buffers, mode and options are used, and its buffers are updated.
        activation: "none" or "tanh".
        variance: "biased" or "unbiased", the variance of the batch that is normalised with.

    Returns:
        (..., H), or None where the layers must run in another way; then nothing has been changed.

    """
    for tensor in (embedding_weight, linear_weight):
        if why_not_tensor("embedding_concat_linear_batch_norm", tensor) is not None or not tensor.is_cpu:
            return None
    if embedding_weight.dtype not in KERNEL_TYPES or type(tokens) not in PLAIN_TENSORS or tokens.dim() < 2:
        return None
    shape = (*tokens.shape[:-1], linear_weight.shape[0])  # (..., H)
    if is_dynamo_compiling() or type(tokens) is not Tensor:
        # A trace holds for other sizes too, and the operator takes any. In evaluation the two operators are traced.
        if not module.training:
            return None
    elif tokens.numel() <= embedding_weight.shape[0] * tokens.shape[-1]:
        return None  # with fewer contexts than symbols hardly a symbol repeats: the two operators are faster
    state = batch_norm_state(module, shape, embedding_weight, variance)
    if state is None:
        return None
    return embedding_concat_linear_batch_norm(
        tokens, embedding_weight, linear_weight, linear_bias, *state, activation
    )
