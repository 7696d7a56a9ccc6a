"""How large the updates are against the parameters they change, recorded while training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_ext.training.steps import StepRunner


class UpdateRecorder:
    """Runs the steps of another runner, and knows what the last one of them changed.

    The update is the difference of the parameters before and after one step. So it is what the optimizer did
    (momentum and weight decay included), and needs nothing of a backend but that the model's parameters are
    up to date when ``run`` returns. What is trained does not change; a call of several steps becomes two, and
    the parameters are copied once between them.

    Args:
        runner: runs the steps.
        model: whose parameters it updates.

    """

    def __init__(self, runner: StepRunner, model: nn.Module) -> None:
        self.runner = runner
        self.parameters = {
            name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad
        }
        self._before: dict[str, Tensor] = {}

    def run(self, indices: Tensor, learning_rates: Sequence[float]) -> Tensor:
        """Run K steps; see :class:`namegen_ext.training.steps.StepRunner`."""
        losses = []
        if len(indices) > 1:
            losses.append(self.runner.run(indices[:-1], learning_rates[:-1]))  # (K - 1,)
        self._before = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        losses.append(self.runner.run(indices[-1:], learning_rates[-1:]))  # (1,)
        return torch.cat(losses)  # (K,)

    def evaluate(self, tokens: Tensor, targets: Tensor) -> float | None:
        """Compute the mean loss of many examples; see :class:`namegen_ext.training.steps.StepRunner`."""
        return self.runner.evaluate(tokens, targets)

    def ratios(self) -> dict[str, float | None]:
        """Return log10(std(update) / std(parameter)) of the last step that was run, for each parameter.

        None stands where there is no such number: the parameter has one element, all elements alike, or did
        not change. A ratio near -3 is usual for weights that train well (Karpathy, "Building makemore
        Part 3", 2022). Parameters in float32 carry a relative rounding of 6e-8, so that ratios below about
        -6 are mostly rounding.
        """
        return {
            name: _log10_ratio(self.parameters[name].detach(), before)
            for name, before in self._before.items()
        }


def _log10_ratio(parameter: Tensor, before: Tensor) -> float | None:
    if parameter.numel() < 2:
        return None
    after = parameter.double()
    update_std = float((after - before.double()).std())
    data_std = float(after.std())
    if not (math.isfinite(update_std) and update_std > 0 and math.isfinite(data_std) and data_std > 0):
        return None
    return math.log10(update_std / data_std)
