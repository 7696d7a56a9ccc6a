"""What csrc/core includes: itself, the standard library, the system; nanobind and Python in its bindings alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "csrc" / "core"
# The CUDA kernels are tested in an emulation, whose header stands where the runtime's would.
EMULATION = ROOT / "tests" / "cpp" / "cuda" / "emulation.h"
FILES = sorted(path for path in CORE.rglob("*") if path.suffix in (".h", ".cpp", ".cu"))
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
# A folder in angle brackets is a library's. What these hold comes with the compiler or the operating system.
SYSTEM_FOLDERS = {"sys", "mach-o"}
# What CMake writes into the build folder; see cmake/InstructionSets.cmake.
GENERATED = {"kernels/cpu/instruction_sets.inc"}


def includes(path: Path) -> list[tuple[str, str]]:
    return INCLUDE.findall(path.read_text(encoding="utf-8"))


def test_the_files_are_found() -> None:
    assert len(FILES) > 50
    assert ("<", "nanobind/nanobind.h") in includes(CORE / "bindings" / "core_module.cpp")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_knows_no_torch(path: Path) -> None:
    libraries = SYSTEM_FOLDERS | ({"nanobind"} if path.parent.name == "bindings" else set())
    for bracket, name in includes(path):
        if bracket == '"':
            is_emulation = path.name == "runtime.h" and (ROOT / "tests" / "cpp" / name) == EMULATION
            known = is_emulation or name in GENERATED or (CORE / name).is_file()
            assert known, f"{name} does not lie in csrc/core"
        elif "/" in name:
            assert name.partition("/")[0] in libraries, f"{name} is of a library that the core does not know"
        else:
            assert name != "Python.h" or path.parent.name == "bindings"
