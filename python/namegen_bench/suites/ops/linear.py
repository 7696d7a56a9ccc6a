"""A linear layer: the stock one and the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from namegen_bench.measuring.floor import Work
from namegen_bench.suites.ops.op_case import FLOAT_BYTES, FORWARD_BACKWARD, OpCase
from namegen_ext.ops import linear


@dataclass(frozen=True)
class LinearCase(OpCase):
    """The operator linear, for inputs (batch, K)."""

    operator: ClassVar[str] = "linear"
    in_features: int
    out_features: int

    @property
    def sizes(self) -> dict[str, int]:
        """K and H."""
        return {"K": self.in_features, "H": self.out_features}

    @property
    def output_size(self) -> int:
        """H."""
        return self.out_features

    def stock_module(self) -> nn.Sequential:
        """Build Linear."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return nn.Sequential(nn.Linear(self.in_features, self.out_features))

    def make_input(self, batch: int) -> Tensor:
        """Draw from the standard normal distribution: (batch, K)."""
        generator = torch.Generator().manual_seed(3)
        return torch.randn(batch, self.in_features, generator=generator)

    def operator_call(self, module: nn.Sequential) -> Callable[[Tensor], Tensor]:
        """Call the operator with the layer's parameters."""
        layer: Any = module[0]
        weight, bias = layer.weight, layer.bias

        def call(x: Tensor) -> Tensor:
            return linear(x, weight, bias)

        return call

    def terms(self, batch: int) -> dict[str, int]:
        """See OpCase."""
        return {
            "output": self.in_features,
            "gradient of 0.weight": batch,
            "gradient of 0.bias": batch,
            "gradient of input": self.out_features,
        }

    def work(self, mode: str, batch: int) -> Work:
        """See OpCase.

        There is one product in the forward pass and two in the backward pass. Each product reads or writes matrices of
        the input's, the weight's and the output's size.
        """
        products = 3 if mode == FORWARD_BACKWARD else 1
        input, weight, output = (
            batch * self.in_features,
            self.in_features * self.out_features,
            batch * self.out_features,
        )
        return Work(
            products * 2 * input * self.out_features, products * (input + weight + output) * FLOAT_BYTES
        )
