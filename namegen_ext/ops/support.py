"""Which operators have a kernel for which devices in this build."""

from __future__ import annotations

import torch
from torch.compiler import is_dynamo_compiling

from namegen_ext._native import operators as _operators

OPERATORS = ("embedding_concat_linear", "embedding_concat_linear_batch_norm", "batch_norm", "linear")

# The answers by the index of the CUDA device. They are kept because every forward pass asks.
_known_reasons: dict[int, str | None] = {}


def why_not_supported(op_name: str, device: torch.device) -> str | None:
    """Tell why an operator has no kernel for a device.

    Args:
        op_name: one of the operators' names, such as "batch_norm".
        device: the device of the tensors.

    Returns:
        The reason in words; None where there is a kernel.

    Raises:
        ValueError: ``op_name`` is not an operator of this package.

    Example:
        >>> import torch
        >>> from namegen_ext.ops import why_not_supported
        >>> why_not_supported("batch_norm", torch.device("cpu"))
        >>> why_not_supported("batch_norm", torch.device("xpu"))
        "there are no kernels for device type 'xpu'"

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
    # Fake tensors may have a CUDA device where there is no GPU. torch.compile traces a model either after it was asked
    # for in eager mode, or for a device that the kernels run on.
    if is_dynamo_compiling() or not torch.cuda.is_available():
        return None
    index = torch.cuda.current_device() if device.index is None else device.index
    if index not in _known_reasons:
        capability = torch.cuda.get_device_capability(index)
        _known_reasons[index] = why_not_capability(capability, _operators.cuda_architectures())
    return _known_reasons[index]


def why_not_capability(capability: tuple[int, int], compiled: list[str]) -> str | None:
    """Tell why kernels that were compiled for some architectures do not run on a device.

    Machine code runs on devices with the same major version and at least the same minor version. PTX runs on every
    device that is at least as new. Source: CUDA C++ Programming Guide, "Binary compatibility" and "PTX compatibility".

    Args:
        capability: the device's compute capability, such as (9, 0).
        compiled: the architectures, such as ["8.0", "9.0+PTX"].

    Returns:
        The reason in words; None where they run.

    """
    for architecture in compiled:
        number, _, ptx = architecture.partition("+")
        major, minor = map(int, number.rstrip("af").split("."))
        bound_to_one = number[-1] in "af"  # such code uses features of one architecture, and runs only there
        if bound_to_one:
            if capability == (major, minor):
                return None
        elif (capability[0] == major and capability[1] >= minor) or (ptx and capability >= (major, minor)):
            return None
    return (
        f"the CUDA kernels were compiled for {', '.join(compiled)}, and the device has compute capability "
        f"{capability[0]}.{capability[1]}"
    )
