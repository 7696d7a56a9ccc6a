"""Every instruction set: NAMEGEN_CPU_ISA chooses it, and its kernels pass the operators' own tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import namegen_ext

HERE = Path(__file__).parent
# Every algorithm, dtype and special value; the random shapes of test_matches_the_reference cover the tails of
# vectors.
CHECKS = [
    f"{HERE / 'test_embedding_concat_linear.py'}",
    f"{HERE / 'test_embedding_concat_linear_batch_norm.py'}",
    f"{HERE / 'test_batch_norm.py'}",
    f"{HERE / 'test_linear.py'}",
    f"{HERE / 'test_special_values.py'}",
    f"{__file__}::test_the_override_is_in_use",
]
INFO = namegen_ext.build_info()


def run(isa: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NAMEGEN_CPU_ISA": isa, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_override_is_in_use() -> None:
    wanted = os.environ.get("NAMEGEN_CPU_ISA") or INFO["cpu_isas_supported"][-1]
    assert namegen_ext.build_info()["cpu_isa"] == wanted


@pytest.mark.parametrize("isa", INFO["cpu_isas_compiled"])
def test_every_instruction_set(isa: str) -> None:
    if isa not in INFO["cpu_isas_supported"]:
        pytest.skip(f"this CPU has {', '.join(INFO['cpu_isas_supported'])}, not {isa}")
    if isa == INFO["cpu_isa"]:
        pytest.skip(f"{isa} is in use in this process: the other tests of this folder are its test")
    done = run(isa, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHECKS)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed.group(1)) > 100


CALL = """
import torch
from namegen_ext import ops
ops.embedding_concat_linear(torch.tensor([[0]]), torch.ones(1, 1), torch.ones(1, 1))
"""


@pytest.mark.parametrize("isa", ["sse9", "AVX2 ", "avx512,avx2"])
def test_an_unknown_instruction_set_is_refused(isa: str) -> None:
    done = run(isa, "-c", CALL)
    assert done.returncode == 1
    message = done.stderr.strip().splitlines()[-1]
    assert "RuntimeError: NAMEGEN_CPU_ISA" in message
    assert repr(isa) in message
    assert all(name in message for name in INFO["cpu_isas_compiled"])


def test_an_instruction_set_that_the_cpu_lacks_is_refused() -> None:
    lacking = [name for name in INFO["cpu_isas_compiled"] if name not in INFO["cpu_isas_supported"]]
    if not lacking:
        pytest.skip(f"this CPU has them all: {', '.join(INFO['cpu_isas_compiled'])}")
    done = run(lacking[0], "-c", CALL)
    assert done.returncode == 1
    assert f"'{lacking[0]}'" in done.stderr.strip().splitlines()[-1]


def test_an_empty_override_counts_as_none() -> None:
    done = run("", "-c", CALL + "\nimport namegen_ext; print(namegen_ext.build_info()['cpu_isa'])")
    assert done.stdout.strip() == INFO["cpu_isas_supported"][-1], done.stderr
