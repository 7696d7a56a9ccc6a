"""Batch normalisation and tanh: the stock layers and the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from namegen_bench.measuring.floor import Work
from namegen_bench.suites.ops.op_case import FLOAT_BYTES, FORWARD, INFERENCE, MODES, OpCase
from namegen_ext.ops import batch_norm


@dataclass(frozen=True)
class BatchNormCase(OpCase):
    """The operator batch_norm with tanh, for inputs (batch, H)."""

    operator: ClassVar[str] = "batch_norm"
    hidden_size: int

    @property
    def sizes(self) -> dict[str, int]:
        """H."""
        return {"H": self.hidden_size}

    @property
    def output_size(self) -> int:
        """H."""
        return self.hidden_size

    def modes(self, batch: int) -> tuple[str, ...]:
        """A single example has no variance to normalise with in training: PyTorch refuses it."""
        return MODES if batch > 1 else (INFERENCE,)

    def stock_module(self) -> nn.Sequential:
        """Build BatchNorm1d, with a scale and a shift drawn at random, and Tanh."""
        module = nn.Sequential(nn.BatchNorm1d(self.hidden_size), nn.Tanh())
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(self.hidden_size, generator=generator))  # (H,)
        return module

    def make_input(self, batch: int) -> Tensor:
        """Draw from the standard normal distribution: (batch, H)."""
        generator = torch.Generator().manual_seed(3)
        return torch.randn(batch, self.hidden_size, generator=generator)

    def operator_call(self, module: nn.Sequential) -> Callable[[Tensor], Tensor]:
        """Call the operator with the layer's parameters and running statistics."""
        layer: Any = module[0]
        tensors = layer.running_mean, layer.running_var, layer.weight, layer.bias
        options = layer.training, layer.momentum, layer.eps

        def call(x: Tensor) -> Tensor:
            return batch_norm(x, *tensors, *options, "tanh")

        return call

    def terms(self, batch: int) -> dict[str, int]:
        """See OpCase. All results depend on the mean and variance of the whole batch."""
        names = ("output", "0.running_mean", "0.running_var")
        gradients = ("0.weight", "0.bias", "input")
        return dict.fromkeys((*names, *(f"gradient of {name}" for name in gradients)), batch)

    def work(self, mode: str, batch: int) -> Work:
        """See OpCase.

        Nothing can be normalised before the whole batch was seen: in the forward pass for its mean and variance, in the
        backward pass for two sums of gradients. So everything is read twice in training.
        """
        # Operations for each value:
        #   inference: scale and shift, 2;
        #   training, forward: the sum for the mean; difference, square and sum for the variance, 4 more;
        #   backward: gradient before the tanh 3, its sum 1, normalised input 2, sum of the product of both 2, gradient
        #   of the input 4, together 12 more.
        operations = {INFERENCE: 2, FORWARD: 2 + 4}.get(mode, 2 + 4 + 12)
        # Values read and written for each value:
        #   inference: input and output, 2;
        #   training, forward: the input once more, 1;
        #   backward: input, output and output's gradient twice each, and the input's gradient, 7 more.
        values = {INFERENCE: 2, FORWARD: 2 + 1}.get(mode, 2 + 1 + 7)
        size = batch * self.hidden_size
        return Work(operations * size, values * size * FLOAT_BYTES)
