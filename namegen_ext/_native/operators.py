"""Loads ``namegen_ext._C``, the operators, which are compiled against one version of torch.

Loading it registers them under ``torch.ops.namegen_ext``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from namegen_ext._native.note import read_note, rebuild_command


def _release(version: str) -> str:
    """Return a version without its local part: 2.13.0 of 2.13.0+cpu."""
    return version.partition("+")[0]


def _load() -> ModuleType:
    note = read_note()
    built = None if note is None else note.torch
    if note is not None and not note.has_operators:
        raise ImportError(
            "namegen_ext was built without its operators (NAMEGEN_TORCH=0): where torch is installed, build them with "
            f"{rebuild_command()}"
        )
    if built is not None and _release(built) != _release(torch.__version__):
        raise ImportError(
            f"namegen_ext's operators were compiled against torch {built}, but torch {torch.__version__} is "
            f"installed: rebuild them with {rebuild_command()}"
        )
    try:
        import namegen_ext._C as _C
    except ImportError as error:
        if built is None:
            raise ImportError(
                f"namegen_ext's operators are missing: build them with {rebuild_command()}"
            ) from error
        raise ImportError(
            f"namegen_ext's operators, compiled against torch {built}, do not load with torch {torch.__version__} on "
            f"Python {platform.python_version()} ({error}): rebuild them with {rebuild_command()}"
        ) from error
    return _C


_C: Any = _load()
CUDA_NOTE: str = _C.CUDA_NOTE
HAS_CUDA: bool = CUDA_NOTE == ""

# What the modules call on each forward pass, in eager mode alone: torch.compile cannot look into them.
batch_norm: Callable[..., Any] = _C.batch_norm
embedding_concat_linear: Callable[..., Any] = _C.embedding_concat_linear
embedding_concat_linear_batch_norm: Callable[..., Any] = _C.embedding_concat_linear_batch_norm
linear: Callable[..., Any] = _C.linear
add_one: Callable[[object], bool] = _C.add_one


def cuda_architectures() -> list[str]:
    """Return what the CUDA kernels were compiled for, as TORCH_CUDA_ARCH_LIST has it: ["8.0", "9.0+PTX"]."""
    parts = [entry.partition("-") for entry in _C.CUDA_ARCHITECTURES.split(",") if entry]
    with_ptx = {number for number, _, kind in parts if kind == "virtual"}
    compiled = []
    for number in dict.fromkeys(number for number, _, _ in parts):
        digits = number.rstrip("af")
        suffix = "+PTX" if number in with_ptx else ""
        compiled.append(f"{digits[:-1]}.{digits[-1]}{number[len(digits) :]}{suffix}")
    return compiled
