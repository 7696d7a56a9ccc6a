"""Checks of what a checkpoint's file holds, before anything is taken from it.

A file that was damaged by accident fails its checksum. These checks are for a file that another version, or another
program, wrote.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namegen_ext.runs.model_checks import NOTHING, check_descriptions
from namegen_ext.runs.run_errors import RunError

_DEVICE = re.compile(r"cpu|cuda:[0-9]{1,4}")
_ADAMW_ENTRIES = ("exp_avg", "exp_avg_sq", "step")


def seconds(path: Path, content: Mapping[str, Any], key: str) -> float:
    """Return an entry that is a time in seconds.

    Raises:
        RunError: it is missing, or no finite number from 0.

    """
    value = content.get(key)
    if (
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**63
    ):  # false for NaN too
        raise RunError(f"{path}: {key} is {reprlib.repr(value)}, expected a number of seconds from 0")
    return float(value)


def number(path: Path, content: Mapping[str, Any], key: str) -> float:
    """Return an entry that is a finite number.

    Raises:
        RunError: it is missing or something else.

    """
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -(2.0**63) < value < 2.0**63:
        raise RunError(f"{path}: {key} is {reprlib.repr(value)}, expected a number")
    return float(value)


def losses(path: Path, tensor: Tensor | None) -> Tensor:
    """Return the losses of some steps: float32 (n,).

    Raises:
        RunError: they are something else.

    """
    if tensor is None or tensor.dtype != torch.float32 or tensor.dim() != 1:
        raise RunError(f"{path}: losses is {describe(tensor)}, expected float32 (n,)")
    return tensor


def check_generators(path: Path, states: Mapping[str, Tensor]) -> None:
    """Accept states of torch's generators.

    Raises:
        RunError: one is something else.

    """
    for name, state in states.items():
        if not _DEVICE.fullmatch(name):
            raise RunError(f"{path}: generator {name[:40]!r}: expected cpu or cuda:NUMBER")
        if state.dtype != torch.uint8 or state.dim() != 1:
            raise RunError(f"{path}: generator {name}: got {describe(state)}, expected uint8 (n,)")
        if name == "cpu":
            try:
                torch.Generator().set_state(state)
            except (RuntimeError, TypeError) as error:
                problem = " ".join(str(error).split("\n")[0].split())
                raise RunError(f"{path}: generator {name}: {problem}") from None


def check_optimizer(
    path: Path,
    tensors: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Accept the state of an optimizer: all entries of all parameters, or none before the first step.

    Args:
        path: the file, for messages.
        tensors: the state, as "PARAMETER.KEY".
        parameters: the model's.
        optimizer: whose state it is to become.

    Raises:
        RunError: there is something else.

    """
    entries = _entries(optimizer)
    for key, tensor in tensors.items():
        name, _, entry = key.rpartition(".")
        if name not in parameters:
            raise RunError(f"{path}: {key}: the model has no parameter {name!r}")
        if entry not in entries:
            raise RunError(f"{path}: {key}: {type(optimizer).__name__} keeps {_list(entries)} of a parameter")
        wanted = torch.empty(()) if entry == "step" else parameters[name]
        if describe(tensor) != describe(wanted):
            raise RunError(f"{path}: {key}: got {describe(tensor)}, expected {describe(wanted)}")
        if entry == "step" and not 0 <= float(tensor) < 2**63:
            raise RunError(f"{path}: {key}: got {float(tensor)}, expected a number of steps")
    # Before the first step an optimizer has no state.
    missing = [
        key for key in (f"{name}.{entry}" for name in parameters for entry in entries) if key not in tensors
    ]
    if tensors and missing:
        raise RunError(f"{path}: {missing[0]}: got nothing, expected it beside {next(iter(tensors))}")
    updates = {float(tensor) for key, tensor in tensors.items() if key.endswith(".step")}
    if len(updates) > 1:
        raise RunError(
            f"{path}: the parameters have seen different numbers of updates: {sorted(updates)[:2]}"
        )


def _entries(optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    if isinstance(optimizer, torch.optim.AdamW):
        return _ADAMW_ENTRIES
    return ("momentum_buffer",) if optimizer.param_groups[0]["momentum"] else ()


def _list(entries: tuple[str, ...]) -> str:
    return ", ".join(entries) or "nothing"


def check_fit(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Accept parameters and buffers of a model's names, shapes and dtypes.

    Raises:
        RunError: one is missing, too many, or another.

    """
    check_descriptions(
        path,
        {name: describe(tensor) for name, tensor in tensors.items()},
        {name: describe(tensor) for name, tensor in expected.items()},
    )


def describe(tensor: Tensor | None) -> str:
    """Return a tensor's dtype and shape, in words."""
    if tensor is None:
        return NOTHING
    dtype = str(tensor.dtype).removeprefix("torch.")
    return f"{dtype} {tuple(tensor.shape)}"
