"""Turns tokens, targets and indices into the arrays that the native engine reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_INT32 = torch.iinfo(torch.int32)


def check_integers(name: str, values: Tensor) -> None:
    """Refuse what is not a dense tensor of integers on the CPU.

    Raises:
        TypeError: it is no tensor, or its dtype or layout is another.
        ValueError: it is on another device.

    """
    if not isinstance(values, Tensor):
        raise TypeError(f"{name} must be a tensor of integers, but got {type(values).__name__}")
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise TypeError(f"{name} must be integers, but has dtype {values.dtype}")
    if values.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, but has layout {values.layout}")
    if values.device.type != "cpu":
        raise ValueError(f"{name} must be on the CPU, but is on {values.device}")


def symbols_array(name: str, symbols: Tensor, vocab_size: int) -> Any:
    """Make an int32 array of tokens or targets.

    Raises:
        IndexError: a value lies outside the range of int32. The engine checks that all are symbols.

    """
    check_integers(name, symbols)
    if symbols.dtype not in (torch.int8, torch.uint8, torch.int16, torch.int32) and symbols.numel() > 0:
        wide = symbols.to(torch.int64)
        for value in (int(wide.min()), int(wide.max())):
            if not _INT32.min <= value <= _INT32.max:  # int32 would turn it into another number
                raise IndexError(f"{name}: got {value}, expected 0 to {vocab_size - 1}")
    return symbols.to(torch.int32).contiguous().numpy()


def indices_array(indices: Tensor) -> Any:
    """Make an int64 array of indices."""
    check_integers("indices", indices)
    return indices.to(torch.int64).contiguous().numpy()
