"""Where word lists come from: files, plain or compressed by gzip, and standard input."""

from __future__ import annotations

import gzip
import sys
import zlib
from pathlib import Path

from namegen_ext.data.data_errors import DataError

STANDARD_INPUT = "-"

_GZIP_MARK = b"\x1f\x8b"


def read_file(path: Path, hint: str = "") -> bytes:
    """Return a file's bytes, unpacked where gzip packed them.

    Args:
        path: of the file.
        hint: what stands behind the message that there is no such file.

    Raises:
        DataError: it cannot be read or unpacked.

    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file{hint}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a directory, expected a text file with one word a line") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the path
        raise DataError(f"{str(path)!r}: is no path: {error}") from None
    return unpacked(content, str(path))


def read_standard_input() -> bytes:
    """Return what standard input holds, unpacked where gzip packed it.

    Raises:
        DataError: it cannot be read or unpacked.

    """
    if sys.stdin is None:
        raise DataError("standard input is closed")
    try:
        content = sys.stdin.buffer.read()
    except OSError as error:
        raise DataError(f"standard input cannot be read: {error.strerror or error}") from None
    return unpacked(content, "standard input")


def unpacked(content: bytes, origin: str) -> bytes:
    """Return bytes as they were before gzip packed them; others as they are.

    Raises:
        DataError: what gzip packed is damaged or cut short.

    """
    if not content.startswith(_GZIP_MARK):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{origin}: cannot be unpacked by gzip: {error}") from None
