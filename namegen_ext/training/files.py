"""Files that are either the old one or the new one, whole, whenever the program is stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from namegen_ext.training.errors import RunError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it.

    Raises:
        RunError: the file cannot be written.

    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented, for people to read too; a number that is not finite is refused."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises:
        RunError: it is missing, unreadable or not UTF-8.

    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such file") from None
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
    except (json.JSONDecodeError, RecursionError) as error:
        raise RunError(f"{path}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise RunError(f"{path}: must hold a JSON object, but holds {type(content).__name__}")
    return content
