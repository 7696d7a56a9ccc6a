"""The native part that needs no torch, on threads of its own and on torch's (core_jobs.py): the same bits, no hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from core_jobs import JOBS, MODES

SCRIPT = Path(__file__).with_name("core_jobs.py")
# Each takes a second or two; one that hangs would take for ever.
TIMEOUT_SECONDS = 120


def outcome(job: str, mode: str) -> tuple[str, str]:
    """What is loaded at the end of a job, and the digest of its results."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), job, mode],
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
    assert process.returncode == 0, errors[-3000:]
    loaded, digest = output.split()
    return loaded, digest


@pytest.mark.parametrize("job", JOBS)
def test_the_same_bits_without_torch_and_with_it(job: str) -> None:
    if job.startswith("fork_while") and "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip(
            "a fork copies AddressSanitizer's own locks as another thread holds them, and its child waits"
        )
    found = {mode: outcome(job, mode) for mode in MODES}
    assert {mode: loaded for mode, (loaded, _) in found.items()} == {
        "no-torch": "-",
        "torch": "namegen_ext._C,torch",
        "torch-later": "torch",
    }
    assert len({digest for _, digest in found.values()}) == 1, found
