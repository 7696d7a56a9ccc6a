"""Training with torch.compile: forward, backward and update in one compiled function.

It is written to be fast:

- The step is one graph (fullgraph) without autograd at run time, because ``torch.func`` takes the gradient while the
  step is traced.
- The update of all parameters is part of the graph and writes in place, so that the compiler can fuse it.
- The step is compiled for this batch size only (dynamic=False).
- As for the other modules, the examples of many steps are gathered together, and losses stay tensors until the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value

from namegen_bench.suites.train.train_case import TrainCase, TrainData

DEFAULT_MODE, AUTOTUNE_MODE = "default", "max-autotune"


class CompiledStepPeer:
    """Trains the stock layers under torch.compile.

    Args:
        case: what is trained.
        data: the examples.
        mode: the mode of torch.compile.

    """

    def __init__(self, case: TrainCase, data: TrainData, mode: str) -> None:
        model = case.build_model(data.vocab_size)
        parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
        buffers = dict(model.named_buffers())
        learning_rate, adamw = case.learning_rate, case.adamw
        means = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        squares = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        updates = torch.zeros(())
        self.tokens, self.targets = data.tokens, data.targets
        self.indices = case.build_indices(len(data.targets))

        def loss_of(parameters: Mapping[str, Tensor], tokens: Tensor, targets: Tensor) -> Any:
            # Batch norm updates its running statistics in place. A function whose gradient is taken may not change
            # anything outside itself, so it gets copies and returns them. The compiler removes these copies.
            moving = {name: buffer.clone() for name, buffer in buffers.items()}
            _, loss = functional_call(model, (dict(parameters), moving), (tokens, targets))
            return loss, moving

        def step(tokens: Tensor, targets: Tensor) -> Tensor:
            gradients, (loss, moved) = grad_and_value(loss_of, has_aux=True)(parameters, tokens, targets)
            if case.is_adamw:
                updates.add_(1)
                by_mean, by_square = 1 - adamw.beta1**updates, 1 - adamw.beta2**updates
                for name, parameter in parameters.items():
                    gradient, mean, square = gradients[name], means[name], squares[name]
                    mean.lerp_(gradient, 1 - adamw.beta1)
                    square.mul_(adamw.beta2).addcmul_(gradient, gradient, value=1 - adamw.beta2)
                    moved_by = mean / by_mean / ((square / by_square).sqrt() + 1e-8)
                    parameter.mul_(1 - learning_rate * adamw.weight_decay).sub_(moved_by, alpha=learning_rate)
            else:
                for name, parameter in parameters.items():
                    parameter.sub_(gradients[name], alpha=learning_rate)
            for name, buffer in buffers.items():
                buffer.copy_(moved[name])
            return loss

        self.step: Any = torch.compile(step, fullgraph=True, dynamic=False, mode=mode)

    def run(self, start: int, count: int) -> Tensor:
        """Run steps; see TrainPeer. The first step compiles."""
        indices = self.indices.steps(start, start + count)  # (K, B)
        tokens, targets = self.tokens[indices], self.targets[indices]  # (K, B, block_size), (K, B)
        return torch.stack([self.step(x, y) for x, y in zip(tokens, targets, strict=True)])  # (K,)


def compiled(case: TrainCase, data: TrainData, threads: int) -> CompiledStepPeer:
    """Train under torch.compile in its default mode."""
    return CompiledStepPeer(case, data, DEFAULT_MODE)


def compiled_autotune(case: TrainCase, data: TrainData, threads: int) -> CompiledStepPeer:
    """Train under torch.compile in the mode that tries several kernels and takes the fastest."""
    return CompiledStepPeer(case, data, AUTOTUNE_MODE)
