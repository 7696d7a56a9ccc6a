"""What the engine's tests share: models, minibatches, and training through autograd beside the engine."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.engine import StepEngine
from namegen_ext.training import build_optimizer
from namegen_ext.training.steps import AutogradSteps

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"name": "sgd", "learning_rate": 0.1},
    "sgd-decay": {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.01},
    "momentum": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.001},
    "nesterov": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
    "adamw": {"name": "adamw", "learning_rate": 0.002, "weight_decay": 0.01},
}


@dataclass
class Pair:
    """The same model and optimizer twice: one trained through autograd, one by the engine."""

    stock: nn.Module
    stock_optimizer: torch.optim.Optimizer
    model: nn.Module
    optimizer: torch.optim.Optimizer
    tokens: Tensor  # (n, block_size)
    targets: Tensor  # (n,)
    rate: float

    def stock_losses(self, indices: Tensor) -> Tensor:
        """Train through autograd: the losses (K,)."""
        steps = AutogradSteps(self.stock, self.stock_optimizer, self.tokens, self.targets)
        return steps.run(indices, [self.rate] * len(indices))

    def engine(self) -> StepEngine:
        return StepEngine(self.model, self.optimizer)

    def losses(self, indices: Tensor) -> Tensor:
        """Train in a new engine: the losses (K,)."""
        return self.engine().run(self.tokens, self.targets, indices, [self.rate] * len(indices))

    def draw(self, steps: int, batch: int, seed: int = 1) -> Tensor:
        """Draw the examples of some steps: (K, B)."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(len(self.targets), (steps, batch), generator=generator)

    def differences(self) -> dict[str, float]:
        """The largest difference of each parameter and buffer."""
        own, other = self.model.state_dict(), self.stock.state_dict()
        return {name: float((own[name] - other[name]).abs().max()) for name in own}

    def state_differences(self) -> dict[str, float]:
        """The largest difference of each array of the optimizer's state."""
        found = {}
        pairs = zip(self.model.named_parameters(), self.stock.parameters(), strict=True)
        for (name, parameter), other in pairs:
            own, expected = self.optimizer.state[parameter], self.stock_optimizer.state[other]
            assert own.keys() == expected.keys(), name
            for key in expected:
                found[f"{name}.{key}"] = float((own[key] - expected[key]).abs().max())
        return found


def make_pair(
    model: nn.Module,
    vocab_size: int,
    block_size: int,
    optimizer: str = "sgd",
    dtype: torch.dtype = torch.float64,
    examples: int = 3000,
) -> Pair:
    """Build a pair on random examples."""
    generator = torch.Generator().manual_seed(0)
    model = model.to(dtype)
    stock = copy.deepcopy(model)
    options = OPTIMIZERS[optimizer]
    return Pair(
        stock=stock,
        stock_optimizer=build_optimizer(parameters=stock.parameters(), **options),
        model=model,
        optimizer=build_optimizer(parameters=model.parameters(), **options),
        tokens=torch.randint(vocab_size, (examples, block_size), generator=generator),
        targets=torch.randint(vocab_size, (examples,), generator=generator),
        rate=options["learning_rate"],
    )
