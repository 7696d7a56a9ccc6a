"""A directory for runs that are saved very often."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")


@contextmanager
def memory_directory(other: Path) -> Iterator[Path]:
    """A new directory in memory, else another one: what a process that is killed has written stays there too, and
    nothing needs to wait for a disk.
    """
    if not os.access(_MEMORY, os.W_OK):
        yield other
        return
    with tempfile.TemporaryDirectory(prefix="namegen-", dir=_MEMORY) as path:
        yield Path(path)
