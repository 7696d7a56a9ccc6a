"""Files of tensors: safetensors with a checksum, so that one flipped bit is seen, and nothing that runs code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from namegen_ext.runs.errors import RunError, one_line
from namegen_ext.runs.files import is_file, write_bytes

# One entry of the file's header, as safetensors writes several in no certain order, and the same run is to write the
# same bytes.
_ENTRY = "namegen_ext"
_CHECKSUM = "sha256"

# What a damaged header makes of safetensors and torch is one of these; TypeError and AttributeError come from a dtype
# that torch lacks.
_DAMAGE = (SafetensorError, OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors of any device and layout, and what JSON can hold, as one file that is replaced whole.

    Raises:
        RunError: the file cannot be written.

    """
    # Copies, as safetensors writes no two names for the same memory, which tied weights have.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    signed = {**metadata, _CHECKSUM: _checksum(plain, metadata)}
    write_bytes(path, safetensors.torch.save(plain, metadata={_ENTRY: json.dumps(signed, sort_keys=True)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote: the tensors, on the CPU, and the metadata.

    Raises:
        RunError: it is missing or is not, bit for bit, a file that :func:`write_tensors` wrote.

    """
    if not is_file(path):
        raise RunError(f"{path}: there is no such file")
    try:
        # Once, whole: safetensors opens a path twice, and may find one file's header and the values of its successor.
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise RunError(f"{path}: cannot be read: it is larger than the free memory") from None
    try:
        tensors = safetensors.torch.load(content)
        metadata = _object(_texts(content).get(_ENTRY))
        expected = metadata.pop(_CHECKSUM, None)
        found = _checksum(tensors, metadata)
    except (*_DAMAGE, MemoryError) as error:
        raise RunError(
            f"{path}: is not a file that training saved, or is damaged: {one_line(error) or type(error).__name__}"
        ) from None
    if expected is None:
        raise RunError(f"{path}: is not a file that training saved, or is damaged: it has no SHA-256")
    if expected != found:
        raise RunError(f"{path}: is damaged: its SHA-256 is not the one that was written")
    return tensors, metadata


def _texts(content: bytes) -> dict[str, str]:
    """Return the texts beside the tensors, which safetensors gives of a path only; it has seen that they are texts."""
    length = int.from_bytes(content[:8], "little")
    return _object(content[8 : 8 + length].decode()).get("__metadata__") or {}


def _object(text: str | None) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that the file means: metadata, names, dtypes, shapes and values."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
