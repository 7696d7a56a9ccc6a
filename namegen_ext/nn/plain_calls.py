"""Whether calling a module is no more than the forward of its class, and which stock class that computes the same.

What fuses layers and what reads a network off them both ask this. Nothing here needs the operators. The ``why_not``
functions answer with None, or with the reason in words.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch._C import _are_functorch_transforms_active
from torch.autograd import forward_ad
from torch.nn.modules.module import (
    _global_backward_hooks,
    _global_backward_pre_hooks,
    _global_forward_hooks,
    _global_forward_pre_hooks,
)


def all_plain(site: Iterable[nn.Module]) -> bool:
    """Tell whether a call of each module is just its class's forward: no hooks, no override."""
    for module in site:
        state = module.__dict__
        if (
            state["_forward_hooks"]
            or state["_forward_pre_hooks"]
            or state["_backward_hooks"]
            or state["_backward_pre_hooks"]
            or "forward" in state
        ):
            return False
    return True


def why_not_at_all() -> str | None:
    """Why nothing can be fused at present, whatever the modules: None, or the reason."""
    if (
        _global_forward_hooks
        or _global_forward_pre_hooks
        or _global_backward_hooks
        or _global_backward_pre_hooks
    ):
        return "hooks for all modules are registered"
    return why_not_now()


def why_not_now() -> str | None:
    """Why no operator can run now: none has a rule for torch.func transforms and forward-mode derivatives."""
    if _are_functorch_transforms_active():
        return "a torch.func transform is active"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    return None


def stock_class(module: nn.Module) -> type[nn.Module]:
    """Return the class of ``torch.nn`` whose result a module computes.

    A fused class of this package names it in ``stands_for``; any other class stands for itself, a subclass of a fused
    one too. So a network that holds fused layers is read without importing them, which needs the operators.
    """
    own = type(module)
    stock: type[nn.Module] = own.__dict__.get("stands_for", own)
    return stock
