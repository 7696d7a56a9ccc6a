"""Embedding, concatenation, linear layer and tanh: the stock layers and the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from namegen_bench.measuring.floor import Work
from namegen_bench.suites.ops.op_case import FLOAT_BYTES, FORWARD_BACKWARD, TOKEN_BYTES, OpCase
from namegen_ext.ops import embedding_concat_linear


@dataclass(frozen=True)
class EmbeddingConcatLinearCase(OpCase):
    """The operator embedding_concat_linear with tanh.

    The tokens are drawn uniformly. Of all ways to draw them, this repeats symbols least within a batch, and the
    operator gains from repeats: so this is its hardest case.
    """

    operator: ClassVar[str] = "embedding_concat_linear"
    vocab_size: int
    embedding_dim: int
    block_size: int
    hidden_size: int

    @property
    def sizes(self) -> dict[str, int]:
        """V, E, block and H."""
        return {
            "V": self.vocab_size,
            "E": self.embedding_dim,
            "block": self.block_size,
            "H": self.hidden_size,
        }

    @property
    def output_size(self) -> int:
        """H."""
        return self.hidden_size

    def stock_module(self) -> nn.Sequential:
        """Build Embedding, Flatten, Linear and Tanh."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return nn.Sequential(
                nn.Embedding(self.vocab_size, self.embedding_dim),
                nn.Flatten(-2),
                nn.Linear(self.block_size * self.embedding_dim, self.hidden_size),
                nn.Tanh(),
            )

    def make_input(self, batch: int) -> Tensor:
        """Draw tokens: int64 (batch, block_size)."""
        generator = torch.Generator().manual_seed(3)
        return torch.randint(self.vocab_size, (batch, self.block_size), generator=generator)

    def operator_call(self, module: nn.Sequential) -> Callable[[Tensor], Tensor]:
        """Call the operator with the embedding's and the linear layer's weights."""
        layers: Any = module
        embedding, _, linear, _ = layers
        weights = embedding.weight, linear.weight, linear.bias

        def call(tokens: Tensor) -> Tensor:
            return embedding_concat_linear(tokens, *weights, "tanh")

        return call

    def terms(self, batch: int) -> dict[str, int]:
        """See OpCase. The gradient of a symbol sums over all places where the symbol stands, and over H."""
        occurrences = -(-batch * self.block_size // self.vocab_size)
        return {
            "output": self.block_size * self.embedding_dim + 1,
            "gradient of 0.weight": occurrences * self.hidden_size,
            "gradient of 2.weight": batch,
            "gradient of 2.bias": batch,
        }

    def work(self, mode: str, batch: int) -> Work:
        """See OpCase.

        The least is the cheaper of two ways: the plain product, or one product for each symbol that occurs at a place,
        whose rows are then added up.
        """
        backward = mode == FORWARD_BACKWARD
        places = self.make_input(batch).T  # (block_size, batch)
        symbols = sum(len(place.unique()) for place in places)  # distinct symbols, summed over the places
        rows, hidden = places.numel(), self.hidden_size
        # The backward pass has two products of the same size, and as many sums as the forward pass.
        products = 2 * self.embedding_dim * hidden * (3 if backward else 1)
        sums = rows * hidden * (2 if backward else 1)
        bias = batch * hidden * (2 if backward else 1)
        operations = min(products * rows, products * symbols + sums) + bias
        # The forward pass reads the tokens and the weights, and writes the output. The backward pass reads the tokens,
        # the output, its gradient and the weights, and writes the gradients of the weights. Of the embedding, the rows
        # count that occur.
        embedding = min(batch * self.block_size, self.vocab_size) * self.embedding_dim
        weights = embedding + self.block_size * self.embedding_dim * hidden + hidden
        floats = batch * hidden * (3 if backward else 1) + weights * (3 if backward else 1)
        return Work(operations, floats * FLOAT_BYTES + rows * TOKEN_BYTES * (2 if backward else 1))
