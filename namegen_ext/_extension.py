"""Loads the compiled extension, or says in one sentence why it cannot be loaded."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_REBUILD = "pip install --force-reinstall --no-deps namegen_ext (in a checkout: pip install -e .)"


def _release(version: str) -> str:
    """Return a version without its local part: 2.13.0 of 2.13.0+cpu."""
    return version.partition("+")[0]


def _built_against() -> str | None:
    note = Path(__file__).with_name("_build.json")
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["torch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _load() -> ModuleType:
    built = _built_against()
    if built is not None and _release(built) != _release(torch.__version__):
        raise ImportError(
            f"namegen_ext was compiled against torch {built}, but torch {torch.__version__} is installed: "
            f"rebuild it with {_REBUILD}"
        )
    try:
        import namegen_ext._C as _C
    except ImportError as error:
        if built is None:
            raise ImportError(
                f"namegen_ext's compiled extension is missing: build it with {_REBUILD}"
            ) from error
        raise ImportError(
            f"namegen_ext's extension, compiled against torch {built}, does not load with torch "
            f"{torch.__version__} on Python {platform.python_version()} ({error}): rebuild it with {_REBUILD}"
        ) from error
    return _C


_C: Any = _load()
CUDA_NOTE: str = _C.CUDA_NOTE
HAS_CUDA: bool = CUDA_NOTE == ""

# What the modules call on each forward pass, in eager mode alone: torch.compile cannot look into them.
batch_norm: Callable[..., Any] = _C.batch_norm
embedding_concat_linear: Callable[..., Any] = _C.embedding_concat_linear
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


def build_info() -> dict[str, Any]:
    """Tell what was built and what is in use.

    Returns:
        A dict with the keys ``version``, ``torch`` (imported), ``built_against_torch``, ``compiler``, ``python``,
        ``cpu_isas_compiled``, ``cpu_isas_supported``, ``cpu_isa`` (in use), ``cuda`` (whether there are CUDA kernels),
        ``cuda_note`` (why not), ``cuda_architectures`` (what they were compiled for, as in TORCH_CUDA_ARCH_LIST).

    Raises:
        RuntimeError: NAMEGEN_CPU_ISA asks for an instruction set that was not compiled or that the CPU lacks.

    """
    from namegen_ext._version import __version__

    return {
        "version": __version__,
        "torch": torch.__version__,
        "built_against_torch": _C.TORCH_VERSION,
        "compiler": _C.COMPILER,
        "python": platform.python_version(),
        "cpu_isas_compiled": list(_C.compiled_isas()),
        "cpu_isas_supported": list(_C.supported_isas()),
        "cpu_isa": _C.chosen_isa(),
        "cuda": HAS_CUDA,
        "cuda_note": CUDA_NOTE,
        "cuda_architectures": cuda_architectures(),
    }
