"""Writes and reads tensors as safetensors files with a checksum, so that a flipped bit is seen and no code can run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from namegen_ext.runs.files import write_bytes
from namegen_ext.runs.run_errors import RunError, one_line
from namegen_ext.runs.tensor_bytes import CHECKSUM, DAMAGE, ENTRY, StoredTensor, checksum, read_tensor_file


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors of any device and layout, and what JSON can hold, as one file that is replaced whole.

    Raises:
        RunError: the file cannot be written.

    """
    # Copies, because safetensors refuses two names for the same memory, which tied weights have.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    stored = ((name, _stored(tensor)) for name, tensor in plain.items())
    signed = {**metadata, CHECKSUM: checksum(stored, metadata)}
    write_bytes(path, safetensors.torch.save(plain, metadata={ENTRY: json.dumps(signed, sort_keys=True)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote: the tensors, on the CPU, and the metadata.

    Raises:
        RunError: it is missing or is not, bit for bit, a file that :func:`write_tensors` wrote.

    """
    file = read_tensor_file(path)
    try:
        return safetensors.torch.load(file.content), file.metadata
    except DAMAGE as error:  # a dtype that this torch lacks
        reason = one_line(error) or type(error).__name__
        raise RunError(f"{path}: is not a file that training saved, or is damaged: {reason}") from None


def _stored(tensor: Tensor) -> StoredTensor:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return StoredTensor(dtype, tuple(tensor.shape), tensor.reshape(-1).view(torch.uint8).numpy().data)
