"""Tensors on a device, laid out in memory as on the CPU; and their bits."""

from __future__ import annotations

import torch
from torch import Tensor


def on_device(tensor: Tensor, device: torch.device | str = "cuda") -> Tensor:
    """Return a leaf on the device with the same values, strides and offset, and with the same memory around it."""
    whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.detach().untyped_storage())  # all of its memory
    moved = whole.to(device).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
    return moved.detach().requires_grad_(tensor.requires_grad)


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal bit by bit, NaN included."""
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    return torch.equal(a.contiguous().view(integers), b.contiguous().view(integers))
