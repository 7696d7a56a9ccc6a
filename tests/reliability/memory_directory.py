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
    """Yield a new directory in memory, or ``other`` where there is no such place.

    A process that is killed leaves its files there as on a disk, and nothing needs to wait for a disk.
    """
    if not os.access(_MEMORY, os.W_OK):
        yield other
        return
    with tempfile.TemporaryDirectory(prefix="namegen-", dir=_MEMORY) as path:
        yield Path(path)
