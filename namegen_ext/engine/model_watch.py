"""Tells whether a model was touched since its network was read: a layer, a setting, a hook or a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Any

from torch import Tensor, nn

from namegen_ext.nn.plain_calls import why_not_at_all

# The dicts of a module that are not changed by setting an attribute.
_DICTS = (
    "_parameters",
    "_buffers",
    "_modules",
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class ModelWatch:
    """Compares a model with what it was, object by object.

    The comparison is made before every call of the engine, because reading a network anew takes longer. The network is
    read anew only where something differs. The values of tensors may change, because the engine reads them at every
    call. Measured: about 40 us to read a network anew (MLP), about 400 us (GPT); a quarter of it to compare.

    Args:
        model: whose network was just read.
        parameters: those that the engine trains.

    """

    def __init__(self, model: nn.Module, parameters: Sequence[Tensor]) -> None:
        self._modules = tuple(model.modules())
        self._parameters = tuple(parameters)
        # The objects are held, so that no new one can be taken for one of them.
        self._objects = self._find_objects()
        self._kinds = self._find_kinds()

    def sees_change(self) -> bool:
        """Tell whether anything differs, or all modules have hooks now."""
        objects = self._find_objects()
        return (
            len(objects) != len(self._objects)
            or not all(map(is_, objects, self._objects))
            or self._find_kinds() != self._kinds
            or why_not_at_all() is not None
        )

    def _find_objects(self) -> list[Any]:
        found: list[Any] = []
        for module in self._modules:
            state = module.__dict__
            found.append(type(module))  # fusing a model changes it
            found += state.values()
            for name in _DICTS:
                held = state[name]
                if held:
                    found += held.values()
        return found

    def _find_kinds(self) -> list[tuple[Any, ...]]:
        return [
            (
                parameter.requires_grad,
                parameter.dtype,
                parameter.device,
                parameter.shape,
                has_gradient_hooks(parameter),
            )
            for parameter in self._parameters
        ]


def has_gradient_hooks(parameter: Tensor) -> bool:
    """Whether a gradient of this parameter would be passed to a hook.

    Hooks that were registered with the parameter's node of the autograd graph cannot be seen from Python.
    """
    return bool(parameter._backward_hooks) or bool(parameter._post_accumulate_grad_hooks)
