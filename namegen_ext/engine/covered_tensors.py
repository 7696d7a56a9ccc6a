"""What the tensors of a model must be so that the engine can train them, whatever the model's layers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from namegen_ext.engine.engine_errors import UnsupportedModelError
from namegen_ext.engine.model_watch import has_gradient_hooks

DTYPES = (torch.float32, torch.float64)


def refuse_model(reason: str) -> NoReturn:
    """Say why the engine does not cover a model.

    Raises:
        UnsupportedModelError: in any case.

    """
    raise UnsupportedModelError(f"the step engine does not cover this model: {reason}")


def check_tensors(
    model: nn.Module, dtype: torch.dtype, parameters: Sequence[Tensor], statistics: Sequence[Tensor] = ()
) -> None:
    """Accept tensors that the engine can read and write in place.

    Args:
        model: that they are of.
        dtype: that all of them should have.
        parameters: those of the layers that the engine knows.
        statistics: further tensors, which are not trained.

    Raises:
        UnsupportedModelError: the engine cannot take one, or the model has parameters besides.

    """
    if dtype not in DTYPES:
        refuse_model(f"its parameters are {dtype}; the engine takes float32 and float64")
    for tensor in (*parameters, *statistics):
        if tensor.device.type != "cpu":
            refuse_model(f"it is on {tensor.device}; the engine runs on the CPU")
        if tensor.dtype != dtype:
            refuse_model(f"its tensors are of several dtypes, {dtype} and {tensor.dtype}")
        if tensor.layout is not torch.strided or not tensor.is_contiguous():
            refuse_model("a parameter is not contiguous")
    for parameter in parameters:
        if not parameter.requires_grad:
            refuse_model("a parameter does not require gradients")
        if type(parameter) is not Parameter:
            refuse_model(f"a parameter is a {type(parameter).__name__}")
        if has_gradient_hooks(parameter):
            refuse_model("a parameter has a hook on its gradient, and the engine calls none")
    if len({id(parameter) for parameter in parameters}) != len(parameters):
        refuse_model("two of its layers share a parameter")
    if len(list(model.parameters())) != len(parameters):
        refuse_model("it has parameters beside those of its layers")
