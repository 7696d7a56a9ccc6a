"""The blocks of the GPT: causal self-attention with an optional cache of keys and values, and the wide layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init


class KeyValueCache:
    """The keys and values of the tokens so far, layer by layer.

    Args:
        num_layers: number of blocks of the model.

    """

    def __init__(self, num_layers: int) -> None:
        self._layers: list[tuple[Tensor, Tensor] | None] = [None] * num_layers

    @property
    def length(self) -> int:
        """Number of tokens that it holds."""
        last = self._layers[-1]
        return 0 if last is None else last[0].shape[2]

    @property
    def num_sequences(self) -> int:
        """Number of sequences that it holds; 0 where it is empty."""
        last = self._layers[-1]
        return 0 if last is None else last[0].shape[0]

    def add(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of new tokens, (N, heads, T, E / heads); return those of all tokens of the layer."""
        before = self._layers[layer]
        if before is not None:
            keys = torch.cat([before[0], keys], dim=2)  # (N, heads, T, E / heads)
            values = torch.cat([before[1], values], dim=2)  # (N, heads, T, E / heads)
        self._layers[layer] = keys, values
        return keys, values

    def select(self, rows: Tensor) -> None:
        """Keep the sequences of some rows (M,) int64, in that order; a row may be taken more than once."""
        self._layers = [
            None if kept is None else (kept[0].index_select(0, rows), kept[1].index_select(0, rows))
            for kept in self._layers
        ]


class CausalSelfAttention(nn.Module):
    """Multi-head attention of each position to itself and those before it.

    Args:
        embedding_dim: E.
        num_heads: divides E.
        dropout: the share of attention weights, and of the result's values, dropped while training.

    """

    def __init__(self, embedding_dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.projections = skip_init(nn.Linear, embedding_dim, 3 * embedding_dim)  # query, key, value
        self.output = skip_init(nn.Linear, embedding_dim, embedding_dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None, layer: int = 0) -> Tensor:
        """Attend: (B, T, E) -> (B, T, E); with a cache, T is 1 and the tokens before are taken from it."""
        batch, length, width = x.shape
        heads = self.projections(x).view(batch, length, 3, self.num_heads, -1)  # (B, T, 3, heads, E / heads)
        query, keys, values = heads.permute(2, 0, 3, 1, 4)  # (B, heads, T, E / heads) each
        if cache is not None:
            keys, values = cache.add(layer, keys, values)  # (B, heads, tokens so far, E / heads)
        mixed = F.scaled_dot_product_attention(
            query,
            keys,
            values,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=cache is None,  # the one new token of a cached call sees all
        )  # (B, heads, T, E / heads)
        return self.drop(self.output(mixed.transpose(1, 2).reshape(batch, length, width)))


class Block(nn.Module):
    """A layer of the decoder: attention, then a GELU network, each normalised first and added to its input.

    Args:
        embedding_dim: E.
        num_heads: divides E.
        dropout: the share of values dropped while training.

    """

    def __init__(self, embedding_dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(embedding_dim)
        self.attention = CausalSelfAttention(embedding_dim, num_heads, dropout)
        self.norm_2 = nn.LayerNorm(embedding_dim)
        self.widen = skip_init(nn.Linear, embedding_dim, 4 * embedding_dim)
        self.gelu = nn.GELU()
        self.narrow = skip_init(nn.Linear, 4 * embedding_dim, embedding_dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None, layer: int = 0) -> Tensor:
        """Compute the layer: (B, T, E) -> (B, T, E)."""
        x = x + self.attention(self.norm_1(x), cache, layer)  # (B, T, E)
        return x + self.drop(self.narrow(self.gelu(self.widen(self.norm_2(x)))))  # (B, T, E)
