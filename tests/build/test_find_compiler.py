"""find_compiler: what is missing is told in one sentence, and macOS' settings."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path

import find_compiler
import pytest
from build_error import BuildError


def program(folder: Path, name: str, text: str = "") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_compiler_that_cmake_would_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        BuildError, match=r"no C\+\+ compiler was found\nTo mend it: install g\+\+ 12 or newer, or clang"
    ):
        find_compiler.find_compiler({})
    program(tmp_path, "clang++")
    assert find_compiler.find_compiler({}) == "clang++"
    program(tmp_path, "g++")
    assert find_compiler.find_compiler({}) == "g++"
    assert find_compiler.find_compiler({"CXX": " "}) == "g++"
    assert find_compiler.find_compiler({"CXX": "clang++ -stdlib=libc++"}) == "clang++"


def test_a_wrong_cxx_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        BuildError, match=r"that CXX names, g\+\+-99, was not found\nTo mend it: correct CXX, or unset it"
    ):
        find_compiler.find_compiler({"CXX": "g++-99"})


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("cmake version 3.18.4", r"is 3\.18, and 3\.20 or newer"),
        ("cmake version 2.8", r"is 2\.8, and 3\.20 or newer"),
        ("no version", "is of an unknown version"),
        ("cmake version 3.20.0", None),
        ("cmake version 4.1.2", None),
    ],
)
def test_an_old_cmake(said: str, told: str | None, tmp_path: Path) -> None:
    cmake = str(program(tmp_path, "cmake", said))
    if told is None:
        find_compiler.check_cmake(cmake)
        return
    with pytest.raises(BuildError, match=rf"{cmake} {told}.*\nTo mend it: pip install 'cmake>=3\.20'"):
        find_compiler.check_cmake(cmake)


def test_a_cmake_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="does not run"):
        find_compiler.check_cmake(str(tmp_path / "cmake"))


def test_nothing_is_told_elsewhere_than_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert find_compiler.macos_settings({"ARCHFLAGS": "-arch arm64"}) == []


@pytest.mark.parametrize(
    ("environment", "pythons", "architecture", "target"),
    [
        ({}, "11.0", "arm64", "11.0"),
        ({}, "10.13", "arm64", "11.0"),
        ({}, None, "arm64", "11.0"),
        ({"MACOSX_DEPLOYMENT_TARGET": "14"}, "11.0", "arm64", "14"),
        ({"MACOSX_DEPLOYMENT_TARGET": "13.3.1"}, "11.0", "arm64", "13.3"),
        ({"ARCHFLAGS": "-arch x86_64"}, "11.0", "x86_64", "11.0"),
        ({"ARCHFLAGS": "-arch arm64 -arch arm64"}, "11.0", "arm64", "11.0"),
    ],
)
def test_macos(
    environment: dict[str, str],
    pythons: str | None,
    architecture: str,
    target: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(sysconfig, "get_config_var", {"MACOSX_DEPLOYMENT_TARGET": pythons}.get)
    assert find_compiler.macos_settings(environment) == [
        f"-DCMAKE_OSX_ARCHITECTURES={architecture}",
        f"-DCMAKE_OSX_DEPLOYMENT_TARGET={target}",
    ]


def test_two_architectures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(BuildError, match="ARCHFLAGS asks for arm64 and x86_64\nTo mend it: build for one"):
        find_compiler.macos_settings({"ARCHFLAGS": "-arch arm64 -arch x86_64"})
