"""Embedding, concatenation, linear layer, batch norm and tanh: the stock layers and the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from namegen_bench.measuring.floor import Work
from namegen_bench.suites.ops.embedding_concat_linear import EmbeddingConcatLinearCase
from namegen_bench.suites.ops.op_case import FLOAT_BYTES, FORWARD, INFERENCE, MODES
from namegen_ext.ops import embedding_concat_linear_batch_norm


@dataclass(frozen=True)
class EmbeddingConcatLinearBatchNormCase(EmbeddingConcatLinearCase):
    """The operator embedding_concat_linear_batch_norm with tanh, on tokens that are drawn uniformly."""

    operator: ClassVar[str] = "embedding_concat_linear_batch_norm"

    def modes(self, batch: int) -> tuple[str, ...]:
        """A single example has no variance to normalise with in training: PyTorch refuses it."""
        return MODES if batch > 1 else (INFERENCE,)

    def stock_module(self) -> nn.Sequential:
        """Build Embedding, Flatten, Linear without bias, BatchNorm1d and Tanh."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return nn.Sequential(
                nn.Embedding(self.vocab_size, self.embedding_dim),
                nn.Flatten(-2),
                nn.Linear(self.block_size * self.embedding_dim, self.hidden_size, bias=False),
                nn.BatchNorm1d(self.hidden_size),
                nn.Tanh(),
            )

    def operator_call(self, module: nn.Sequential) -> Callable[[Tensor], Tensor]:
        """Call the operator with the layers' weights and running statistics."""
        layers: Any = module
        embedding, _, linear, norm, _ = layers
        tensors = (
            embedding.weight,
            linear.weight,
            None,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
        )
        options = norm.training, norm.momentum, norm.eps

        def call(tokens: Tensor) -> Tensor:
            return embedding_concat_linear_batch_norm(tokens, *tensors, *options, "tanh")

        return call

    def terms(self, batch: int) -> dict[str, int]:
        """See OpCase. All results depend on the mean and variance of the whole batch."""
        occurrences = -(-batch * self.block_size // self.vocab_size)
        sums = batch + self.block_size * self.embedding_dim + 1
        names = (
            "output",
            "3.running_mean",
            "3.running_var",
            *(f"gradient of 3.{n}" for n in ("weight", "bias")),
        )
        return {
            **dict.fromkeys(names, sums),
            "gradient of 0.weight": occurrences * self.hidden_size + sums,
            "gradient of 2.weight": batch + sums,
        }

    def work(self, mode: str, batch: int) -> Work:
        """See OpCase.

        Beside the products and sums of embedding_concat_linear, each value is scaled and shifted; its statistics, and
        the sums of its gradient, can be had from the rows of the symbols. The values that are read and written are
        those of embedding_concat_linear, and two parameters for each of H.
        """
        work = super().work(mode, batch)
        values = batch * self.hidden_size
        operations = {INFERENCE: 2, FORWARD: 2}.get(mode, 2 + 3)  # backward: the gradient before the tanh
        parameters = 2 * self.hidden_size * (1 if mode in (INFERENCE, FORWARD) else 3)
        return Work(work.operations + operations * values, work.bytes + parameters * FLOAT_BYTES)
