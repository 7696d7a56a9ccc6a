"""Reads files of tensors without torch: each tensor's dtype, shape and values, and the checksum of all.

tensor_file.py writes these files, and reads them as tensors of torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from namegen_ext.runs.files import is_file
from namegen_ext.runs.run_errors import RunError, one_line

# All metadata is one entry of the file's header. safetensors writes several entries in no certain order, and the same
# run is to write the same bytes.
ENTRY = "namegen_ext"
CHECKSUM = "sha256"

# torch's names of the dtypes, by their names in a safetensors file.
_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}

# The errors that a damaged header causes in safetensors, numpy and torch. TypeError and AttributeError come from a
# dtype that torch lacks.
DAMAGE = (
    SafetensorError,
    OSError,
    ValueError,
    KeyError,
    RuntimeError,
    TypeError,
    AttributeError,
    MemoryError,
)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file.

    Attributes:
        dtype: as torch calls it, such as "float32".
        shape: its sizes.
        values: its bytes, contiguous and row-major.

    """

    dtype: str
    shape: tuple[int, ...]
    values: bytes | bytearray | memoryview

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"

    def array(self) -> Any:
        """Return the values as an array of numpy.

        Raises:
            TypeError: numpy has no such dtype.

        """
        # Where another package has given numpy these dtypes, as ml_dtypes does, arrays of them would add up otherwise.
        if self.dtype.startswith(("bfloat", "float8")):
            raise TypeError(f"numpy has no dtype {self.dtype!r}")
        return np.frombuffer(self.values, dtype=np.dtype(self.dtype)).reshape(self.shape)


@dataclass(frozen=True)
class TensorFile:
    """A file of tensors, bit for bit as it was written.

    Attributes:
        content: the whole file.
        tensors: what it holds, by name.
        metadata: what was written beside them.

    """

    content: bytes
    tensors: dict[str, StoredTensor]
    metadata: dict[str, Any]


def read_tensor_file(path: Path) -> TensorFile:
    """Read a file that :func:`namegen_ext.runs.tensor_file.write_tensors` wrote.

    Raises:
        RunError: it is missing or is not, bit for bit, such a file.

    """
    if not is_file(path):
        raise RunError(f"{path}: there is no such file")
    try:
        # The file is read once, as a whole. safetensors opens a path twice, and might read the header of one file and
        # the values of its successor.
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise RunError(f"{path}: cannot be read: it is larger than the free memory") from None
    try:
        tensors = {
            name: StoredTensor(_DTYPES[entry["dtype"]], tuple(entry["shape"]), entry["data"])
            for name, entry in deserialize(content)
        }
        metadata = _object(_texts(content).get(ENTRY))
        expected = metadata.pop(CHECKSUM, None)
        found = checksum(tensors.items(), metadata)
    except DAMAGE as error:
        raise RunError(
            f"{path}: is not a file that training saved, or is damaged: {one_line(error) or type(error).__name__}"
        ) from None
    if expected is None:
        raise RunError(f"{path}: is not a file that training saved, or is damaged: it has no SHA-256")
    if expected != found:
        raise RunError(f"{path}: is damaged: its SHA-256 is not the one that was written")
    return TensorFile(content, tensors, metadata)


def checksum(tensors: Iterable[tuple[str, StoredTensor]], metadata: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that a file means: metadata, names, dtypes, shapes and values."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        digest.update(json.dumps([name, f"torch.{tensor.dtype}", list(tensor.shape)]).encode())
        digest.update(tensor.values)
    return digest.hexdigest()


def _texts(content: bytes) -> dict[str, str]:
    """Return the texts beside the tensors. safetensors has checked them, but gives them for paths only."""
    length = int.from_bytes(content[:8], "little")
    return _object(content[8 : 8 + length].decode()).get("__metadata__") or {}


def _object(text: str | None) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
