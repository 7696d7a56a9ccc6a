"""The sizes of the gradients, parameter by parameter."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from namegen_ext.diagnostics.histograms import Histogram, histogram
from namegen_ext.diagnostics.passes import copy_for_training, forward_backward

# All histograms have the same bins, so that layers and models can be compared. A bin is a fifth of a power of ten.
_LOWEST, _HIGHEST, _BINS = -14.0, 4.0, 90


@dataclass(frozen=True)
class GradientStatistics:
    """The gradient of the loss with respect to one tensor.

    Attributes:
        name: the tensor's name, such as "net.2.weight"; for the output of a layer, the layer's name.
        shape: the tensor's shape.
        mean: the mean of the gradient's elements, in nats per unit of the tensor. ``std`` and the histogram have the
            same unit.
        std: the standard deviation of the gradient's elements (divided by n, not n - 1).
        zeros: the share of the gradient's elements that are exactly 0.
        log10_magnitude: the histogram of log10 of the absolute value, over the elements that are not 0.
        data_std: the standard deviation of the tensor's own elements.

    """

    name: str
    shape: tuple[int, ...]
    mean: float
    std: float
    zeros: float
    log10_magnitude: Histogram
    data_std: float

    @property
    def is_weight(self) -> bool:
        """Whether the tensor has two dimensions or more. Biases, and the scales of batch or layer norm, have one."""
        return len(self.shape) >= 2


def gradient_statistics_of(name: str, data: Tensor, gradient: Tensor) -> GradientStatistics:
    """Describe one gradient.

    Args:
        name: the name of the tensor.
        data: the tensor, of any shape.
        gradient: the gradient of the loss with respect to the tensor, of the same shape.

    """
    gradient = gradient.detach().double()
    magnitude = gradient.abs()
    return GradientStatistics(
        name=name,
        shape=tuple(data.shape),
        mean=float(gradient.mean()),
        std=float(gradient.std(correction=0)),
        zeros=float((gradient == 0).double().mean()),
        log10_magnitude=histogram(magnitude[magnitude > 0].log10(), _LOWEST, _HIGHEST, _BINS),
        data_std=float(data.detach().double().std(correction=0)),
    )


def parameter_gradients(
    model: nn.Module, tokens: Tensor, targets: Tensor, *, seed: int = 0
) -> tuple[GradientStatistics, ...]:
    """Describe the gradients of a model's parameters for one batch, computed in training mode.

    No hook is set, so a fused model runs its fused kernels, forward and backward. The model is not changed.

    Args:
        model: called as ``model(tokens, targets)``; returns (logits, loss).
        tokens: (B, block_size), integers.
        targets: (B,), int64.
        seed: the seed of dropout.

    Returns:
        One entry for each parameter that has a gradient, in the order of ``named_parameters``. A model without
        trainable parameters has none.

    """
    copy = copy_for_training(model)
    forward_backward(copy, tokens, targets, seed=seed)
    return tuple(
        gradient_statistics_of(name, parameter, parameter.grad)
        for name, parameter in copy.named_parameters()
        if parameter.grad is not None
    )
