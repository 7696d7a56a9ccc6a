"""The outputs of the activation layers, how many of them are saturated, and the gradients that come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from namegen_ext.data import IGNORED
from namegen_ext.diagnostics.gradients import GradientStatistics, gradient_statistics_of
from namegen_ext.diagnostics.histograms import Histogram, histogram
from namegen_ext.diagnostics.passes import copy_for_training, forward_backward

# An activation is called saturated where its slope is below FLAT_SLOPE. tanh has the slope 1 - y**2 at y = tanh(x), so
# it is saturated where |y| is above 0.97.
SATURATED_TANH = 0.97
FLAT_SLOPE = 1 - SATURATED_TANH**2

# Activations of torch.nn that work element by element. A subclass may compute something else, so it does not count.
ELEMENTWISE: tuple[type[nn.Module], ...] = (
    nn.Tanh,
    nn.Sigmoid,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
)

_VALUE_BINS = 50
_UNIT_BINS = 20


@dataclass(frozen=True)
class ActivationStatistics:
    """The outputs of one activation layer for one batch.

    Attributes:
        name: the layer's dotted name in the model.
        kind: the layer's class, such as "Tanh"; "FusedBatchNorm1d, tanh" for a module that ends in a tanh.
        values: the histogram of the outputs; for tanh from -1 to 1.
        mean: the mean of the outputs.
        std: the standard deviation of the outputs (divided by n, not n - 1).
        saturated: the share of outputs where the activation's slope is below FLAT_SLOPE, so that hardly any
            gradient passes. For tanh these are the outputs whose absolute value is above 0.97.
        units: number of units: the size of the last dimension, summed over the calls of the layer.
        unit_saturation: the histogram, over the units, of each unit's share of saturated outputs.
        stuck_units: number of units that are saturated for the whole batch, and so learn nothing from it.
        gradient: the gradient of the loss with respect to the outputs; None where the model has no trainable
            parameters.

    """

    name: str
    kind: str
    values: Histogram
    mean: float
    std: float
    saturated: float
    units: int
    unit_saturation: Histogram
    stuck_units: int
    gradient: GradientStatistics | None


def activation_statistics(
    model: nn.Module, tokens: Tensor, targets: Tensor, *, seed: int = 0
) -> tuple[ActivationStatistics, ...]:
    """Describe the outputs of every activation layer of a model for one batch, in training mode.

    Forward hooks on a copy of the model see the outputs, so the model is not changed. In a fused model, a layer with a
    hook runs as the stock layer, so the description agrees with that of the stock model to rounding. Activations that a
    forward calls as functions and not as modules cannot be seen.

    Args:
        model: called as ``model(tokens, targets)``; returns (logits, loss).
        tokens: (B, block_size), integers.
        targets: (B,), int64; or (B, block_size) for a model over sequences, with -1 where nothing is predicted. These
            positions are left out.
        seed: the seed of dropout.

    Returns:
        One entry for each layer that was called, in the order of ``named_modules``. A layer that is called
        several times has one entry for all calls.

    """
    copy = copy_for_training(model)
    seen: dict[str, _Calls] = {}
    for name, module in copy.named_modules():
        if _ends_in_activation(module):
            seen[name] = _Calls(module)
    forward_backward(copy, tokens, targets, seed=seed)
    return tuple(_describe(name, calls, targets) for name, calls in seen.items() if calls.outputs)


class _Calls:
    """The inputs and outputs of a layer, call by call, which hooks on the layer collect.

    Attributes:
        inputs: the inputs. They are copied before the call, because an in-place activation overwrites its input.
        outputs: the outputs. They have their gradients after the backward pass.

    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        module.register_forward_pre_hook(self._before)
        module.register_forward_hook(self._after)

    def _before(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.inputs.append(arguments[0].detach().clone())

    def _after(self, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
        self.outputs.append(output)


def _ends_in_activation(module: nn.Module) -> bool:
    return type(module) in ELEMENTWISE or _is_fused_tanh(module)


def _is_fused_tanh(module: nn.Module) -> bool:
    """Tell whether a module ends in a tanh. The modules of namegen_ext.nn say so in ``activation``."""
    return (
        type(module).__module__.startswith("namegen_ext.nn.") and getattr(module, "activation", "") == "tanh"
    )


def _describe(name: str, calls: _Calls, targets: Tensor) -> ActivationStatistics:
    module = calls.module
    outputs, flat, gradients = [], [], []
    for x, y in zip(calls.inputs, calls.outputs, strict=True):
        kept = _predicting(y, targets)  # bool (...), for y (..., units)
        outputs.append(y.detach()[kept].double())  # (n, units)
        flat.append(_slopes(module, x, y)[kept].abs() < FLAT_SLOPE)  # (n, units)
        if y.grad is not None:
            gradients.append(y.grad[kept].flatten())  # (n * units,)
    values = torch.cat([output.flatten() for output in outputs])
    unit_shares = torch.cat([one.double().mean(0) for one in flat])  # (units,)
    lower, upper = _range(module, values)
    kind = type(module).__name__
    return ActivationStatistics(
        name=name or kind,
        kind=f"{kind}, tanh" if _is_fused_tanh(module) else kind,
        values=histogram(values, lower, upper, _VALUE_BINS),
        mean=float(values.mean()),
        std=float(values.std(correction=0)),
        saturated=float(torch.cat([one.flatten() for one in flat]).double().mean()),
        units=len(unit_shares),
        unit_saturation=histogram(unit_shares, 0.0, 1.0, _UNIT_BINS),
        stuck_units=int((unit_shares == 1).sum()),
        gradient=gradient_statistics_of(name or kind, values, torch.cat(gradients)) if gradients else None,
    )


def _predicting(output: Tensor, targets: Tensor) -> Tensor:
    """Tell which rows of an output (..., units) count, as bool (...).

    In a model over sequences, the rows count whose positions predict something. The positions after the end of a word
    are filler.
    """
    rows = output.shape[:-1]
    if targets.dim() > 1 and rows == targets.shape:
        return targets != IGNORED
    return torch.ones(rows, dtype=torch.bool, device=output.device)


def _slopes(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return dy/dx of an activation, element by element: float64 (..., units)."""
    y = y.detach().double()
    if type(module) is nn.Tanh or _is_fused_tanh(module):
        return 1 - y * y
    activation: Callable[[Tensor], Tensor] = module.forward  # calling forward skips the hooks
    with torch.enable_grad():
        # The activation gets a copy, because an in-place activation may not change a leaf.
        leaf = x.double().requires_grad_()
        (slopes,) = torch.autograd.grad(activation(leaf.clone()).sum(), leaf)
    return slopes


def _range(module: nn.Module, values: Tensor) -> tuple[float, float]:
    """Return where a histogram of a layer's outputs begins and ends."""
    if type(module) is nn.Tanh or _is_fused_tanh(module):
        return -1.0, 1.0
    finite = values[values.isfinite()]
    if finite.numel() == 0:
        return 0.0, 1.0
    lower, upper = float(finite.min()), float(finite.max())
    return (lower, upper) if lower < upper else (lower - 0.5, upper + 0.5)
