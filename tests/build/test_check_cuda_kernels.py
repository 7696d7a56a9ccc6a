"""check_cuda_kernels: what it reads out of the assembler's report, and that it judges it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z5firstf' for 'sm_90'
ptxas info    : Function properties for _Z5firstf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers
ptxas info    : Compile time = 40.504 ms
ptxas info    : Compiling entry function '_Z6secondf' for 'sm_90'
ptxas info    : Function properties for _Z6secondf
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers, 8 bytes cumulative stack size
"""


@pytest.fixture(scope="module")
def check() -> ModuleType:
    path = ROOT / "python" / "check_cuda_kernels.py"
    spec = importlib.util.spec_from_file_location("check_cuda_kernels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_cuda_kernels"] = module
    spec.loader.exec_module(module)
    return module


def test_the_report_is_read(check: ModuleType) -> None:
    first, second = check.parse_report(REPORT)
    assert (first.name, first.architecture, first.registers) == ("_Z5firstf", "sm_90", 32)
    assert first.is_clean
    assert (second.stack, second.spill_stores, second.spill_loads) == (8, 4, 12)
    assert not second.is_clean
    text = check.table([first, second])
    assert "32" in text
    assert "spill stores 4, loads 12 bytes" in text


def test_an_incomplete_report_is_no_success(check: ModuleType) -> None:
    with pytest.raises(ValueError, match="incomplete"):
        check.parse_report(REPORT.replace("8 bytes stack frame", "frame"))


@pytest.mark.parametrize("spills", [True, False])
def test_exit_status(spills: bool, check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    frame = "8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads"
    report = REPORT if spills else REPORT.replace(frame, re.sub(r"\d+", "0", frame))
    monkeypatch.setattr(check, "compile_one", lambda *arguments: report)
    arguments = ["--include", ".", "--architectures", "sm_80", "sm_90", "--", "one.cu"]
    assert check.main(arguments) == (1 if spills else 0)
    assert f"{2 if spills else 0} use local memory" in capsys.readouterr().out
    monkeypatch.setattr(check, "compile_one", lambda *arguments: "")
    assert check.main(arguments) == 1


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc on the PATH")
def test_a_kernel_that_spills_is_found(check: ModuleType, tmp_path: Path, capsys) -> None:
    source = tmp_path / "spilling.cu"
    source.write_text(
        "__global__ void spilling(float* x, int i, int n) {\n  float values[64];\n"
        "  for (int j = 0; j < n; ++j) values[j % 64] = x[j];\n  x[0] = values[i];\n}\n",
        encoding="utf-8",
    )
    assert check.main(["--include", str(tmp_path), "--architectures", "sm_90", "--", str(source)]) == 1
    assert "1 use local memory" in capsys.readouterr().out
    source.write_text("__global__ void broken(float* x) { x[0] = y; }\n", encoding="utf-8")
    assert check.main(["--include", str(tmp_path), "--architectures", "sm_90", "--", str(source)]) == 1
    assert "broken" not in capsys.readouterr().out
