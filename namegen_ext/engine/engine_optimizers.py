"""Reads a torch optimizer's settings and state for the engine, and prepares its state for writing back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from namegen_ext.engine.engine_errors import UnsupportedModelError


@dataclass(frozen=True)
class OptimizerDescription:
    """An optimizer's settings, and the names of its state's tensors.

    Attributes:
        settings: as the native engine takes them.
        state_names: the names of the tensors beside each parameter that the updates read and write.
        counts_steps: whether the state has a "step".

    """

    settings: dict[str, Any]
    state_names: tuple[str, ...]
    counts_steps: bool


def describe_optimizer(optimizer: torch.optim.Optimizer, parameters: list[Tensor]) -> OptimizerDescription:
    """Read an optimizer's settings.

    Args:
        optimizer: torch.optim.SGD or AdamW, of just these parameters, in one group.
        parameters: those that the engine trains.

    Raises:
        UnsupportedModelError: the engine does not cover the optimizer; the message says why.

    Example:
        >>> parameters = [torch.nn.Parameter(torch.ones(3))]
        >>> optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
        >>> describe_optimizer(optimizer, parameters).state_names
        ('momentum_buffer',)

    """
    if len(optimizer.param_groups) != 1:
        _refuse(f"it has {len(optimizer.param_groups)} parameter groups, and the engine takes one")
    (group,) = optimizer.param_groups
    if {id(parameter) for parameter in group["params"]} != {id(parameter) for parameter in parameters}:
        _refuse("its parameters are not those of the model")
    for option in ("maximize", "differentiable", "amsgrad"):
        if group.get(option):
            _refuse(f"it has {option} set")
    if has_step_hooks(optimizer):
        _refuse("a hook on its steps is registered, or its step is replaced, and the engine calls neither")
    settings = {
        "adamw": False,
        "weight_decay": float(group["weight_decay"]),
        "momentum": 0.0,
        "nesterov": False,
        "beta1": 0.0,
        "beta2": 0.0,
        "eps": 0.0,
        "most_norm": 0.0,
        "averages": False,
    }
    if type(optimizer) is torch.optim.SGD:
        if group["dampening"] != 0:
            _refuse(f"its dampening is {group['dampening']}, and the engine takes 0")
        settings |= {"momentum": float(group["momentum"]), "nesterov": bool(group["nesterov"])}
        return OptimizerDescription(settings, ("momentum_buffer",) if group["momentum"] != 0 else (), False)
    if type(optimizer) is not torch.optim.AdamW:
        _refuse(
            f"it is {type(optimizer).__name__}, and the engine takes torch.optim.SGD and torch.optim.AdamW"
        )
    if not group.get("decoupled_weight_decay", True):
        _refuse("its decoupled_weight_decay is unset, and the engine takes it set")
    beta1, beta2 = group["betas"]
    settings |= {"adamw": True, "beta1": float(beta1), "beta2": float(beta2), "eps": float(group["eps"])}
    return OptimizerDescription(settings, ("exp_avg", "exp_avg_sq"), True)


def has_step_hooks(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a call of ``step`` does more than the step of the optimizer's class.

    A learning rate scheduler of torch wraps ``step`` to count the calls, which changes no update.

    Example:
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)
        >>> handle = optimizer.register_step_post_hook(lambda *arguments: None)
        >>> has_step_hooks(optimizer)
        True

    """
    own_step = optimizer.__dict__.get("step")
    return bool(
        optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
        or (own_step is not None and not getattr(own_step, "_wrapped_by_lr_sched", False))
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of an optimizer's only group; one that is a tensor stays that tensor."""
    (group,) = optimizer.param_groups
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def read_updates(
    optimizer: torch.optim.Optimizer, description: OptimizerDescription, parameters: list[Tensor]
) -> int:
    """Return how many updates the optimizer has made, where the next one depends on it; else 0.

    Raises:
        UnsupportedModelError: the parameters have seen different numbers of updates.

    """
    if description.counts_steps:
        counts = {int(optimizer.state[p]["step"]) if "step" in optimizer.state[p] else 0 for p in parameters}
    elif description.state_names:
        counts = {int(optimizer.state[p].get("momentum_buffer") is not None) for p in parameters}
    else:
        return 0
    if len(counts) != 1:
        _refuse(f"its parameters have seen different numbers of updates: {sorted(counts)}")
    return counts.pop()


def prepare_state(
    optimizer: torch.optim.Optimizer,
    description: OptimizerDescription,
    parameters: list[Tensor],
    updates: int,
) -> None:
    """Make the state's tensors where they do not exist yet, and set the number of updates made."""
    for parameter in parameters:
        state = optimizer.state[parameter]
        for name in description.state_names:
            if state.get(name) is None:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        if description.counts_steps:
            step = state.get("step")
            if isinstance(step, Tensor):
                step.fill_(updates)
            else:
                state["step"] = torch.tensor(float(updates), device="cpu")


def _refuse(reason: str) -> NoReturn:
    raise UnsupportedModelError(f"the step engine does not cover this optimizer: {reason}")
