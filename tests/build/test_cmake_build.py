"""The setuptools command: how many jobs it starts, and what its errors say."""

from __future__ import annotations

import json
import os
import runpy
import sys
import sysconfig
from pathlib import Path
from typing import Any

import find_torch
import pytest

cmake_build = pytest.importorskip("cmake_build", reason="setuptools is not installed here")

ROOT = Path(__file__).resolve().parents[2]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


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
    monkeypatch.setattr(cmake_build, "find_torch", lambda: None)
    with pytest.raises(
        SystemExit, match=r"no torch was found\nTo mend it: pip install torch.*NAMEGEN_TORCH=0"
    ):
        build(["namegen_ext._core", "namegen_ext._C"])


def build(names: list[str], folder: Path = Path("/nowhere")) -> None:
    from setuptools import Distribution, Extension

    command = cmake_build.CMakeBuild(Distribution())
    command.initialize_options()
    command.build_lib = str(folder)
    command.inplace = False
    command.extensions = [Extension(name, sources=[]) for name in names]
    command.build_extensions()


@pytest.mark.parametrize("with_operators", [True, False])
def test_what_is_built_and_where_it_goes(
    with_operators: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Both modules in one call of CMake; without operators nothing asks for torch."""
    torch = find_torch.Torch(Path("/nowhere/torch"), "2.13.0+cpu", 20, None)
    monkeypatch.setattr(cmake_build, "find_torch", lambda: torch if with_operators else pytest.fail("asked"))
    monkeypatch.setattr(cmake_build, "ROOT", tmp_path)
    monkeypatch.setattr(cmake_build, "_tool", lambda name: name)
    monkeypatch.setattr(cmake_build, "check_cmake", lambda cmake: None)
    monkeypatch.setattr(cmake_build, "find_compiler", lambda environment: "some-c++")
    monkeypatch.setenv("MAX_JOBS", "1")
    monkeypatch.setattr(cmake_build, "_nanobind_to_build_with", lambda: Path("/nowhere/nanobind"))
    commands: list[list[str]] = []

    def run(command: list[str], problem: str, remedy: str) -> None:
        commands.append(command)
        folder = Path(command[command.index("-B" if "-B" in command else "--build") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("_core", "_C"):
            (folder / f"{name}{SUFFIX}").write_text(name, encoding="utf-8")

    monkeypatch.setattr(cmake_build, "_run", run)
    names = ["_core", "_C"] if with_operators else ["_core"]
    build([f"namegen_ext.{name}" for name in names], tmp_path / "lib")
    configure, compile_all = commands
    said = capsys.readouterr().out.splitlines()[0]
    against = "against torch 2.13.0+cpu in /nowhere/torch" if with_operators else "without torch"
    modules = "_C and _core" if with_operators else "_core"
    minutes = "3 minutes" if with_operators else "2 minutes"
    assert said.startswith(
        f"namegen_ext: compiling {modules} by some-c++, {against}, 1 at a time (MAX_JOBS): about {minutes}"
    )
    assert ("-DNAMEGEN_TORCH_FOLDER=/nowhere" in configure) == with_operators
    assert ("-DNAMEGEN_TORCH=ON" in configure) == with_operators
    assert ("-DNAMEGEN_TORCH=OFF" in configure) == (not with_operators)
    assert "-Dnanobind_DIR=/nowhere/nanobind" in configure
    targets = compile_all[compile_all.index("--target") + 1 : compile_all.index("--parallel")]
    assert targets == names
    package = tmp_path / "lib" / "namegen_ext"
    assert sorted(path.name for path in package.iterdir()) == sorted(
        ["_build.json", *(f"{name}{SUFFIX}" for name in names)]
    )
    note = json.loads((package / "_build.json").read_text(encoding="utf-8"))
    assert note["modules"] == names
    assert note["torch"] == ("2.13.0+cpu" if with_operators else None)


def test_nanobind_is_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages" / "nanobind"
    for part in ("cmake", "ext", "include", "src"):
        (installed / part).mkdir(parents=True)
        (installed / part / "file").write_text(part, encoding="utf-8")
    (installed / "__init__.py").write_text("__version__ = '9.8.7'\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.delitem(sys.modules, "nanobind", raising=False)
    builds = tmp_path / "build"
    found = cmake_build._nanobind_to_build_with(builds)
    assert found == builds / "nanobind-9.8.7" / "cmake"
    assert (builds / "nanobind-9.8.7" / "src" / "file").read_text(encoding="utf-8") == "src"
    written = (found / "file").stat().st_mtime_ns
    assert cmake_build._nanobind_to_build_with(builds) == found
    assert (found / "file").stat().st_mtime_ns == written
    assert [path.name for path in builds.iterdir()] == ["nanobind-9.8.7"], "something unfinished was left"
    monkeypatch.setitem(sys.modules, "nanobind", None)
    assert cmake_build._nanobind_to_build_with(builds) == found, "an earlier build's copy will do"
    with pytest.raises(SystemExit, match="nanobind was not found\nTo mend it: pip install nanobind"):
        cmake_build._nanobind_to_build_with(tmp_path / "another")


def test_no_temporary_file_of_the_note_is_left(tmp_path: Path) -> None:
    cmake_build._write_note(tmp_path / "_build.json", None)
    assert [p.name for p in tmp_path.iterdir()] == ["_build.json"]


@pytest.mark.parametrize("setting", ["0", "1", "auto"])
def test_what_the_package_asks_for(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """setup.py's own answers: NAMEGEN_TORCH=0 asks for no torch, so that pip brings none."""
    import setuptools

    told: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: told.update(options))
    monkeypatch.setenv("NAMEGEN_TORCH", setting)
    runpy.run_path(str(ROOT / "setup.py"))
    asks = any(requirement.startswith("torch") for requirement in told["install_requires"])
    names = [extension.name for extension in told["ext_modules"]]
    assert asks == (setting != "0")
    assert names == (["namegen_ext._core"] if setting == "0" else ["namegen_ext._core", "namegen_ext._C"])
    if sys.version_info >= (3, 12) and not sysconfig.get_config_var("Py_GIL_DISABLED"):
        # Without operators the wheel serves every later Python.
        assert told["options"] == ({"bdist_wheel": {"py_limited_api": "cp312"}} if setting == "0" else {})


@pytest.mark.parametrize(
    ("setting", "tag", "suffix"), [("1", "1", "+torch2.13"), ("1", "0", ""), ("0", "1", ""), ("1", None, "")]
)
def test_a_releases_wheels_have_names_of_their_own(
    setting: str, tag: str | None, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two wheels of one name would be one file: with operators the version tells the torch."""
    import setuptools

    import namegen_ext

    told: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: told.update(options))
    monkeypatch.setattr(
        find_torch, "find_torch", lambda: find_torch.Torch(Path("/nowhere/torch"), "2.13.0+cpu", 20, None)
    )
    monkeypatch.setenv("NAMEGEN_TORCH", setting)
    monkeypatch.delenv("NAMEGEN_TAG_TORCH", raising=False)
    if tag is not None:
        monkeypatch.setenv("NAMEGEN_TAG_TORCH", tag)
    runpy.run_path(str(ROOT / "setup.py"))
    assert told["version"] == namegen_ext.__version__ + suffix
