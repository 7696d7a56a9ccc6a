"""The blocks of the GPT: causal self-attention with an optional cache of keys and values, and the wide layers."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from namegen_ext.models.initial_weights import unfilled

# Added to the variance, or the mean square, before its root is divided by.
NORM_EPS = 1e-5

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu-tanh": lambda: nn.GELU(approximate="tanh"),
    "relu": nn.ReLU,
}


def build_norm(kind: str, embedding_dim: int, bias: bool) -> nn.Module:
    """Make a norm over the last dimension: "layer", with a weight and, with ``bias``, a bias; or "rms", without."""
    if kind == "rms":
        return nn.RMSNorm(embedding_dim, eps=NORM_EPS, elementwise_affine=False)
    return nn.LayerNorm(embedding_dim, eps=NORM_EPS, bias=bias)


class KeyValueCache:
    """The keys and values of the tokens so far, layer by layer, with room for a whole block.

    Args:
        num_layers: number of blocks of the model.
        capacity: the most tokens that it can hold.

    Attributes:
        length: number of tokens that it holds; moved on by :meth:`advance`, once all layers have added theirs.

    """

    def __init__(self, num_layers: int, capacity: int) -> None:
        self.length = 0
        self._capacity = capacity
        self._layers: list[tuple[Tensor, Tensor] | None] = [
            None
        ] * num_layers  # (N, heads, capacity, E / heads)

    @property
    def num_sequences(self) -> int:
        """Number of sequences that it holds; 0 where it is empty."""
        first = self._layers[0]
        return 0 if first is None else len(first[0])

    def add(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add one new token's keys and values, (N, heads, 1, E / heads); return those of all tokens of the layer."""
        room = self._layers[layer]
        if room is None:
            room = self._room_like(keys, len(keys)), self._room_like(values, len(values))
            self._layers[layer] = room
        together = []
        for held, new in zip(room, (keys, values), strict=True):
            held[:, :, self.length : self.length + 1] = new
            together.append(held[:, :, : self.length + 1])  # (N, heads, tokens so far, E / heads), a view
        return together[0], together[1]

    def advance(self) -> None:
        """Count the token that all layers have added."""
        self.length += 1

    def select(self, rows: Tensor) -> None:
        """Keep the sequences of some rows (M,) int64, in that order; a row may be taken more than once."""
        self._layers = [
            None if held is None else (self._selected(held[0], rows), self._selected(held[1], rows))
            for held in self._layers
        ]

    def _selected(self, held: Tensor, rows: Tensor) -> Tensor:
        room = self._room_like(held, len(rows))
        room[:, :, : self.length] = held[:, :, : self.length].index_select(0, rows)
        return room

    def _room_like(self, tensor: Tensor, num_sequences: int) -> Tensor:
        _, heads, _, size = tensor.shape
        return tensor.new_empty(num_sequences, heads, self._capacity, size)


class CausalSelfAttention(nn.Module):
    """Multi-head attention of each position to itself and those before it.

    Args:
        embedding_dim: E.
        num_heads: divides E.
        dropout: the share of attention weights, and of the result's values, dropped while training.
        biases: whether its linear layers have biases.

    """

    def __init__(self, embedding_dim: int, num_heads: int, dropout: float, biases: bool = True) -> None:
        super().__init__()
        self.dropout = dropout
        # nn.Sequential here and in Block, because namegen_ext.fuse finds the layers of an nn.Sequential.
        self.projections = nn.Sequential(
            unfilled(nn.Linear, embedding_dim, 3 * embedding_dim, bias=biases),
            nn.Unflatten(-1, (3, num_heads, embedding_dim // num_heads)),  # query, key, value
        )
        self.output = nn.Sequential(
            unfilled(nn.Linear, embedding_dim, embedding_dim, bias=biases), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor, cache: KeyValueCache | None = None, layer: int = 0) -> Tensor:
        """Attend: (B, T, E) -> (B, T, E); with a cache, T is 1 and the tokens before are taken from it."""
        batch, length, width = x.shape
        heads = self.projections(x)  # (B, T, 3, heads, E / heads)
        query, keys, values = heads.permute(2, 0, 3, 1, 4)  # (B, heads, T, E / heads) each
        if cache is not None:
            keys, values = cache.add(layer, keys, values)  # (B, heads, tokens so far, E / heads)
        mixed = F.scaled_dot_product_attention(
            query,
            keys,
            values,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=cache is None,  # with a cache, the one new token sees all tokens
        )  # (B, heads, T, E / heads)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """A layer of the decoder: attention, then a network of two linear layers, each normalised first and added to its
    input.

    Args:
        embedding_dim: E.
        num_heads: divides E.
        dropout: the share of values dropped while training.
        norm: "layer" or "rms", see :func:`build_norm`.
        activation: one of :data:`ACTIVATIONS`.
        biases: whether the linear layers and layer norms have biases.

    """

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        dropout: float,
        norm: str = "layer",
        activation: str = "gelu",
        biases: bool = True,
    ) -> None:
        super().__init__()
        self.norm_1 = build_norm(norm, embedding_dim, biases)
        self.attention = CausalSelfAttention(embedding_dim, num_heads, dropout, biases)
        self.norm_2 = build_norm(norm, embedding_dim, biases)
        self.network = nn.Sequential(
            unfilled(nn.Linear, embedding_dim, 4 * embedding_dim, bias=biases),
            ACTIVATIONS[activation](),
            unfilled(nn.Linear, 4 * embedding_dim, embedding_dim, bias=biases),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, cache: KeyValueCache | None = None, layer: int = 0) -> Tensor:
        """Compute the layer: (B, T, E) -> (B, T, E)."""
        x = x + self.attention(self.norm_1(x), cache, layer)  # (B, T, E)
        return x + self.network(self.norm_2(x))  # (B, T, E)
