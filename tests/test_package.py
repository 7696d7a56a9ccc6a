"""The package as a whole: what it tells of its build, and what importing it costs."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys

import pytest
import torch

import namegen_ext

KEYS = {
    "version": str,
    "torch": str,
    "built_against_torch": str,
    "compiler": str,
    "python": str,
    "cpu_isas_compiled": list,
    "cpu_isas_supported": list,
    "cpu_isa": str,
    "cuda": bool,
    "cuda_note": str,
    "cuda_architectures": list,
}


def run(*arguments: str, isa: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "NAMEGEN_CPU_ISA"}
    if isa is not None:
        environment["NAMEGEN_CPU_ISA"] = isa
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_build_info() -> None:
    info = namegen_ext.build_info()
    assert list(info) == list(KEYS)
    assert all(isinstance(info[name], kind) for name, kind in KEYS.items()), info
    assert info["version"] == namegen_ext.__version__
    assert info["torch"] == torch.__version__
    assert info["built_against_torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert info["python"] == platform.python_version()
    assert info["compiler"]
    assert info["cpu_isas_compiled"][0] == info["cpu_isas_supported"][0] == "baseline"
    assert set(info["cpu_isas_supported"]) <= set(info["cpu_isas_compiled"])
    assert info["cpu_isa"] in info["cpu_isas_supported"]
    assert info["cuda"] == (info["cuda_note"] == ""), "without CUDA kernels there is a reason, and only then"


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="instruction sets of x86-64 only"
)
def test_instruction_sets_of_x86() -> None:
    info = namegen_ext.build_info()
    assert info["cpu_isas_compiled"] == ["baseline", "avx2", "avx512"]
    capability = torch.backends.cpu.get_cpu_capability()  # torch's own look at the CPU
    if capability in ("AVX2", "AVX512"):
        assert "avx2" in info["cpu_isas_supported"]
    assert ("avx512" in info["cpu_isas_supported"]) == (capability == "AVX512")


def test_the_command_prints_one_fact_a_line() -> None:
    done = run("-m", "namegen_ext")
    assert done.returncode == 0, done.stderr
    printed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(printed) == list(KEYS)
    assert printed["torch"] == torch.__version__
    assert printed["cpu_isas_compiled"] == ", ".join(namegen_ext.build_info()["cpu_isas_compiled"])
    assert printed["cpu_isa"] == namegen_ext.build_info()["cpu_isas_supported"][-1]


def test_the_override_is_obeyed() -> None:
    done = run("-m", "namegen_ext", isa="baseline")
    assert done.returncode == 0, done.stderr
    assert dict(line.split(maxsplit=1) for line in done.stdout.splitlines())["cpu_isa"] == "baseline"


def test_a_wrong_override_is_one_line_and_status_2() -> None:
    done = run("-m", "namegen_ext", isa="mmx")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("namegen_ext: NAMEGEN_CPU_ISA: ")
    assert "'mmx'" in line
    assert "baseline" in line


def test_importing_adds_at_most_60_ms() -> None:
    # Measured inside the process, after torch: the median of five processes, against pauses of a shared
    # machine.
    program = (
        "import torch, time; start = time.perf_counter(); import namegen_ext; "
        "print(time.perf_counter() - start)"
    )
    seconds = []
    for _ in range(5):
        done = run("-c", program)
        assert done.returncode == 0, done.stderr
        seconds.append(float(done.stdout))
    assert statistics.median(seconds) <= 0.060, f"seconds: {seconds}"


def test_importing_brings_in_nothing_that_is_not_needed() -> None:
    program = (
        "import sys, torch; before = set(sys.modules); import namegen_ext; "
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    done = run("-c", program)
    assert done.returncode == 0, done.stderr
    assert not {"rich", "safetensors", "numpy", "matplotlib"} & set(done.stdout.split())


def test_lazy_names_resolve() -> None:
    for name in namegen_ext.__all__:
        assert getattr(namegen_ext, name) is not None
    assert set(namegen_ext.__all__) <= set(dir(namegen_ext))
    assert namegen_ext.ops.batch_norm is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = namegen_ext.no_such_name
