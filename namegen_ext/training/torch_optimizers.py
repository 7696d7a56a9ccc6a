"""The optimizers by name. They are torch's own, with the settings that are fastest for models of this size."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import Parameter

from namegen_ext.engine.engine_optimizers import has_step_hooks, set_learning_rate
from namegen_ext.options.choices import OPTIMIZERS


def build_optimizer(
    name: str,
    parameters: Iterable[Parameter],
    *,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> torch.optim.Optimizer:
    """Build an optimizer. SGD adds ``weight_decay`` to the gradient, and AdamW decouples it from the gradient.

    Args:
        name: one of :data:`OPTIMIZERS`.
        parameters: what to optimize.
        learning_rate: the rate of the first step.
        momentum: for SGD; 0 keeps no state.
        nesterov: for SGD with momentum.
        weight_decay: both optimizers' weight decay.
        beta1: for AdamW, the decay of the mean gradient.
        beta2: for AdamW, the decay of the mean squared gradient.

    Raises:
        ValueError: ``name`` is unknown, or torch refuses a value.

    Sources: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013;
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.

    Example:
        >>> parameter = Parameter(torch.ones(3))
        >>> build_optimizer("adamw", [parameter], learning_rate=0.002, weight_decay=0.01).defaults["lr"]
        0.002

    """
    # One fused kernel updates all parameters. Measured: 44 us a step fused, 131 us by foreach, 165 us one by one
    # (AdamW on the CPU, MLP of 12,297 parameters).
    if name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=learning_rate,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            fused=True,
        )
    if name == "adamw":
        return torch.optim.AdamW(
            parameters, lr=learning_rate, betas=(beta1, beta2), weight_decay=weight_decay, fused=True
        )
    raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, but got {name!r}")


def update_function(optimizer: torch.optim.Optimizer) -> Callable[[float], None]:
    """Return a function that makes one update with the learning rate it is given.

    It is ``optimizer.step``, except for SGD without momentum, weight decay and hooks. There it has the same effect
    without the bookkeeping of ``step``. Measured: 268 us a training step with ``step``, 222 us without (MLP, batch
    32).
    """
    (group,) = optimizer.param_groups
    if (
        type(optimizer) is torch.optim.SGD
        and group["momentum"] == group["weight_decay"] == 0
        and not group["maximize"]
        and not has_step_hooks(optimizer)
        and not isinstance(group["lr"], Tensor)
        and all(parameter.requires_grad for parameter in group["params"])
    ):
        parameters = group["params"]

        @torch.no_grad()
        def plain_sgd(learning_rate: float) -> None:
            gradients = [parameter.grad for parameter in parameters]
            torch._foreach_add_(parameters, gradients, alpha=-learning_rate)

        return plain_sgd

    def step(learning_rate: float) -> None:
        set_learning_rate(optimizer, learning_rate)
        optimizer.step()

    return step
