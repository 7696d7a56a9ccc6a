"""Starting several processes that train together, as torchrun does, and waiting for them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SECONDS = 120  # a process that takes longer hangs


def start(size: int, command: Sequence[str], cwd: Path | None = None) -> list[subprocess.Popen[str]]:
    """Start ``python COMMAND`` so many times, with the environment that torchrun would give each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, *command],
            env={
                **os.environ,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "WORLD_SIZE": str(size),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "OMP_NUM_THREADS": "1",
            },
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Wait for all; return the exit status, the output and the errors of each."""
    ended = []
    try:
        for process in processes:
            output, errors = process.communicate(timeout=SECONDS)
            ended.append((process.returncode, output, errors))
    finally:
        for process in processes:
            process.kill()
    return ended
