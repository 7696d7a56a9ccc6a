"""Writes files so that, whenever the program or the machine stops, each is the whole old one or the whole new one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

from namegen_ext.runs.run_errors import RunError, one_line

# The largest text of a run is its word list. A larger file than this is not one, and is not read into memory.
_LARGEST_TEXT = 2**30


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place, wait until it is on the disk, and rename it.

    Raises:
        RunError: the file cannot be written; a file that stood in its place is unchanged.

    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            sync(file.fileno())
        os.replace(beside, path)
        sync_directory(path.parent)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        remove(beside)


def remove_leftovers(directory: Path) -> None:
    """Remove the files that :func:`write_bytes` leaves where the process is killed while it writes."""
    if directory.is_dir():
        for path in directory.glob(".*.tmp"):
            remove(path)


def sync(file_descriptor: int) -> None:
    """Wait until what was written is on the disk, so that it survives a loss of power."""
    os.fsync(file_descriptor)


def sync_directory(path: Path) -> None:
    """Wait until a directory's new and renamed files are on the disk, where its file system supports that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, where that can be done."""
    with contextlib.suppress(OSError):  # a run goes on where a file cannot be removed
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented for people to read. A number that is not finite is refused."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def is_file(path: Path) -> bool:
    """Tell whether there is such a file. Devices and pipes, which may never end, do not count.

    Raises:
        RunError: the system does not tell, for example because a directory may not be read.

    """
    return stat.S_ISREG(_mode(path))


def is_directory(path: Path) -> bool:
    """Tell whether there is such a directory.

    Raises:
        RunError: the system does not tell.

    """
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    # Not by pathlib: where the system does not tell, it returns False or raises, depending on Python's version.
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that no file can have
        return 0
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from None


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises:
        RunError: it is missing, unreadable, not UTF-8, or larger than a gibibyte.

    """
    if not is_file(path):
        raise RunError(f"{path}: there is no such file")
    try:
        if path.stat().st_size > _LARGEST_TEXT:
            raise RunError(f"{path}: got {path.stat().st_size:,} bytes, expected {_LARGEST_TEXT:,} at most")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: is not UTF-8 (byte {error.start})") from None


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        RunError: it is missing, unreadable, not JSON, or holds something else.

    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # ValueError also for an integer of very many digits
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path}: is not JSON: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise RunError(f"{path}: must hold a JSON object, but holds {type(content).__name__}")
    return content
