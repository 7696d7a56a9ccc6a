"""Records while training how large the updates are against the parameters that they change."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namegen_ext.training.steps import StepRunner


class UpdateRecorder:
    """Runs the steps of another runner, and keeps what the last one of them changed.

    The update is the difference of the parameters before and after one step, so that momentum and weight decay are
    included. A backend only has to bring the model's parameters up to date before ``run`` returns. The training does
    not change: a call of several steps becomes two, and the parameters are copied once between them.

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

        A ratio is None where the parameter has one element, where its elements are all equal, or where it did not
        change. A ratio near -3 is usual for weights that train well. Parameters in float32 have a relative rounding
        of 6e-8, so that ratios below about -6 are mostly rounding.

        Source: A. Karpathy, "Building makemore Part 3", 2022.
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
