"""Forks, spawned processes and DataLoader workers (process_jobs.py): the same bits, and nothing hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from process_jobs import JOBS

# Each job takes one to five seconds. A job that hangs would never end.
TIMEOUT_SECONDS = 120


@pytest.mark.parametrize("job", JOBS)
def test_processes(job: str) -> None:
    if job == "fork_while_drawing" and "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip(
            "a fork copies AddressSanitizer's own locks as another thread holds them, and its child waits"
        )
    script = Path(__file__).with_name("process_jobs.py")
    with subprocess.Popen(
        [sys.executable, str(script), job],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its children are ended with it
    ) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            pytest.fail(f"{job} hangs\n{output}{errors[-2000:]}")
    assert (process.returncode, output) == (0, "done\n"), errors[-3000:]
