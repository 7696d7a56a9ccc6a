"""Which operator has a kernel for which device in this build."""

from __future__ import annotations

import torch

from namegen_ext import _extension

OPERATORS = ("embedding_concat_linear", "batch_norm")


def is_supported(op_name: str, device: torch.device) -> str | None:
    """Tell whether an operator has a kernel for a device.

    Args:
        op_name: "embedding_concat_linear" or "batch_norm".
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
    if device.type == "cuda" and _extension.HAS_CUDA:
        return None
    if device.type == "cuda":
        return "this build has no CUDA kernels"
    return f"there are no kernels for device type {device.type!r}"
