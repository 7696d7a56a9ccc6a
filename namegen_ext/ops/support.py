"""Which operator has a kernel for which device in this build."""

from __future__ import annotations

import torch
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators

OPERATORS = ("embedding_concat_linear", "batch_norm", "linear")

# By the index of the device; asked on every forward pass.
_known_reasons: dict[int, str | None] = {}


def why_not_supported(op_name: str, device: torch.device) -> str | None:
    """Tell whether an operator has a kernel for a device.

    Args:
        op_name: "embedding_concat_linear", "batch_norm" or "linear".
        device: where the tensors live.

    Returns:
        None where there is a kernel, else the reason why not, in words.

    Raises:
        ValueError: ``op_name`` is not an operator of this package.

    """
    if op_name not in OPERATORS:
        raise ValueError(f"op_name must be one of {', '.join(OPERATORS)}, but got {op_name!r}")
    if device.type in ("cpu", "meta"):
        return None
    if device.type == "cuda":
        return "PyTorch's own product is used on CUDA" if op_name == "linear" else _why_not_cuda(device)
    return f"there are no kernels for device type {device.type!r}"


def _why_not_cuda(device: torch.device) -> str | None:
    if not _operators.HAS_CUDA:
        return f"this build has no CUDA kernels: {_operators.CUDA_NOTE}"
    # Fake tensors have CUDA devices where there is no GPU. torch.compile traces after a first look, or for a
    # device that takes the kernels.
    if is_dynamo_compiling() or not torch.cuda.is_available():
        return None
    index = torch.cuda.current_device() if device.index is None else device.index
    if index not in _known_reasons:
        capability = torch.cuda.get_device_capability(index)
        _known_reasons[index] = why_not_capability(capability, _operators.cuda_architectures())
    return _known_reasons[index]


def why_not_capability(capability: tuple[int, int], compiled: list[str]) -> str | None:
    """Tell whether kernels compiled for some architectures run on a device.

    Machine code runs on devices of the same major version and at least the same minor one, PTX on every device at
    least as new (CUDA C++ Programming Guide, "Binary compatibility" and "PTX compatibility").

    Args:
        capability: the device's compute capability, (9, 0).
        compiled: the architectures, such as ["8.0", "9.0+PTX"].

    Returns:
        None where they run, else the reason why not.

    """
    for architecture in compiled:
        number, _, ptx = architecture.partition("+")
        major, minor = map(int, number.rstrip("af").split("."))
        bound_to_one = number[-1] in "af"  # code with an architecture's own features
        if bound_to_one:
            if capability == (major, minor):
                return None
        elif (capability[0] == major and capability[1] >= minor) or (ptx and capability >= (major, minor)):
            return None
    return (
        f"the CUDA kernels were compiled for {', '.join(compiled)}, and the device has compute capability "
        f"{capability[0]}.{capability[1]}"
    )
