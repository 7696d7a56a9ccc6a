"""Standard output that can no longer be written: a pipe whose reader is gone, a full disk."""

from __future__ import annotations

import os
import sys


def forget_standard_output() -> None:
    """Send what is still buffered for standard output to /dev/null, so that its flush at exit does not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
