"""The engine's own tests under every instruction set that this CPU has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import namegen_ext

HERE = Path(__file__).parent
INFO = namegen_ext.build_info()
CHECKS = (
    "hundred_steps_in_float64 or any_sizes or large_batches or evaluation or any_number_of_threads"
    " or every_gradient or tail"
)


@pytest.mark.parametrize("isa", INFO["cpu_isas_compiled"])
def test_every_instruction_set(isa: str) -> None:
    if isa not in INFO["cpu_isas_supported"]:
        pytest.skip(f"this CPU has {', '.join(INFO['cpu_isas_supported'])}, not {isa}")
    if isa == INFO["cpu_isa"]:
        pytest.skip(f"{isa} is in use in this process: the other tests of this folder are its test")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(str(HERE / "test_step_engine.py"), str(HERE / "test_gpt.py"), "-k", CHECKS),
        ],
        env=os.environ | {"NAMEGEN_CPU_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed.group(1)) > 90
