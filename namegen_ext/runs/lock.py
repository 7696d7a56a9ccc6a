"""Sees to it that one process at a time trains in a run directory."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from namegen_ext.runs.directory import RunDirectory
from namegen_ext.runs.run_errors import RunError


@contextmanager
def locked(directory: RunDirectory) -> Iterator[None]:
    """Keep other processes from training in a run directory inside the context.

    The system releases the lock when the process ends, in whatever way, so that none is ever left behind.

    Raises:
        RunError: another process is training there, or the directory cannot be written.

    """
    path = directory.path / ".lock"
    try:
        file = path.open("w")
    except OSError as error:
        raise RunError(f"{directory.path}: cannot be written: {error.strerror or error}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{directory.path}: another process is training in it") from None
        except OSError:
            pass  # a file system without locks
        yield
