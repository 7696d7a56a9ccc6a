"""The setuptools command: how many jobs it starts, and what its errors say."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import find_torch
import pytest

cmake_build = pytest.importorskip("cmake_build", reason="setuptools is not installed here")


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", " ", "4 "])
def test_max_jobs_that_is_no_number(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS", value)
    with pytest.raises(SystemExit) as raised:
        cmake_build._jobs()
    message = str(raised.value)
    assert f"MAX_JOBS is {value!r}" in message
    assert "whole number" in message


def test_max_jobs_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS", "7")
    assert cmake_build._jobs() == 7


@pytest.mark.parametrize(
    ("gigabytes", "jobs"),
    [(0.5, 1), (1.6, 1), (3.2, 2), (100.0, 4)],
    ids=["hardly any", "one", "two", "plenty"],
)
def test_jobs_as_memory_allows(gigabytes: float, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS", "")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(
        os, "sysconf", {"SC_AVPHYS_PAGES": int(gigabytes * 2**18), "SC_PAGE_SIZE": 4096}.__getitem__
    )
    assert cmake_build._jobs() == jobs


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"ninja was not found\nTo mend it: pip install ninja"):
        cmake_build._tool("ninja")


def test_a_failed_command_ends_with_the_remedy() -> None:
    with pytest.raises(SystemExit) as raised:
        cmake_build._run([sys.executable, "-c", "raise SystemExit(3)"], "it broke", "do this")
    assert str(raised.value).splitlines()[-2:] == [
        "namegen_ext was not built: it broke",
        "To mend it: do this",
    ]
    cmake_build._run([sys.executable, "-c", ""], "it broke", "do this")


def test_a_build_without_torch_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from setuptools import Distribution, Extension

    monkeypatch.setattr(cmake_build, "find_torch", lambda: None)
    command = cmake_build.CMakeBuild(Distribution())
    with pytest.raises(SystemExit, match="no torch was found\nTo mend it: pip install torch"):
        command.build_extension(Extension("namegen_ext._C", sources=[]))


def test_the_note_of_what_was_built(tmp_path: Path) -> None:
    torch = find_torch.Torch(Path("/nowhere/torch"), "2.13.0+cpu", 20, None)
    cmake_build._write_note(tmp_path / "_build.json", torch)
    note = json.loads((tmp_path / "_build.json").read_text(encoding="utf-8"))
    assert note["torch"] == "2.13.0+cpu"
    assert [p.name for p in tmp_path.iterdir()] == ["_build.json"], "a temporary file was left"
