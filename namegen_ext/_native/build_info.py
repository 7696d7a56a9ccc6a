"""What was built and what is in use."""

from __future__ import annotations

import platform
from typing import Any

from namegen_ext._version import __version__


def build_info() -> dict[str, Any]:
    """Tell what was built and what is in use.

    Imports torch where it is installed.

    Returns:
        A dict with the keys ``version``, ``torch`` (installed; None where there is none), ``built_against_torch`` (what
        the operators are compiled against; None where they were not built), ``compiler``, ``python``,
        ``cpu_isas_compiled``, ``cpu_isas_supported``, ``cpu_isa`` (in use), ``cuda_compiled`` (whether there are CUDA
        kernels), ``cuda_note`` (why not), ``cuda_architectures`` (what they were compiled for, as in
        TORCH_CUDA_ARCH_LIST).

    Raises:
        ImportError: the native part that needs no torch cannot be loaded.
        RuntimeError: NAMEGEN_CPU_ISA asks for an instruction set that was not compiled or that the CPU lacks.

    Example:
        >>> build_info()["cpu_isa"] in build_info()["cpu_isas_supported"]
        True

    """
    from namegen_ext._native.core import _core
    from namegen_ext._native.note import read_note

    note = read_note()
    info: dict[str, Any] = {
        "version": __version__,
        "torch": None,
        "built_against_torch": None if note is None else note.torch,
        "compiler": _core.COMPILER,
        "python": platform.python_version(),
        "cpu_isas_compiled": list(_core.compiled_isas()),
        "cpu_isas_supported": list(_core.supported_isas()),
        "cpu_isa": _core.chosen_isa(),
        "cuda_compiled": False,
        "cuda_note": "",
        "cuda_architectures": [],
    }
    try:
        import torch

        info["torch"] = torch.__version__
        from namegen_ext._native import operators
    except ImportError as error:
        reason = "torch is not installed" if info["torch"] is None else str(error)
        return info | {"cuda_note": f"there are no operators: {reason}"}
    return info | {
        "built_against_torch": operators._C.TORCH_VERSION,
        "compiler": operators._C.COMPILER,
        "cuda_compiled": operators.HAS_CUDA,
        "cuda_note": operators.CUDA_NOTE,
        "cuda_architectures": operators.cuda_architectures(),
    }
