"""find_environment: the environment that uv or build installs into, from what they leave of it."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import find_environment
import find_torch
import pytest

MakeEnvironment = Callable[..., Path]


@pytest.fixture
def environment() -> MakeEnvironment:
    """Make a folder look like a virtual environment for this Python."""

    def make(folder: Path, config: str = "home = /usr/bin\n") -> Path:
        for packages in find_environment.site_packages(folder):
            packages.mkdir(parents=True)
        (folder / "pyvenv.cfg").write_text(config, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def building_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Have this process look as if it ran in a tool's own environment."""

    def use(folder: Path, command: tuple[str, ...] = ("uv", "pip", "install", ".")) -> None:
        monkeypatch.setattr(sys, "prefix", str(folder))
        monkeypatch.setattr(find_environment, "_command_of_parent", lambda: list(command))

    return use


def in_uv(environment: MakeEnvironment, tmp_path: Path) -> Path:
    return environment(tmp_path / "cache" / "builds-v0" / ".tmpX")


@pytest.mark.parametrize(
    ("folder", "tool"),
    [
        ("cache/uv/builds-v0/.tmpdVPzbm", "uv"),
        ("cache/uv/builds-v1/.tmpdVPzbm", "uv"),
        ("build-env-nfnwi6_j", "build"),
        ("venv", None),
        ("builds/.tmp", None),
    ],
)
def test_the_tool_is_known_by_its_folder(
    folder: str, tool: str | None, tmp_path: Path, environment: MakeEnvironment, building_in: Callable
) -> None:
    building_in(environment(tmp_path / folder))
    assert find_environment.hiding_tool() == tool
    (tmp_path / folder / "pyvenv.cfg").unlink()
    assert find_environment.hiding_tool() is None, "no virtual environment"


def test_this_process_runs_in_none() -> None:
    assert find_environment.hiding_tool() is None
    assert find_environment.target_environment(os.environ) is None


def test_an_activated_environment_is_found(
    tmp_path: Path, environment: MakeEnvironment, building_in: Callable
) -> None:
    own, target = in_uv(environment, tmp_path), environment(tmp_path / "target")
    building_in(own)
    path = os.pathsep.join([str(own / "bin"), str(target / "bin"), "/usr/bin"])
    assert find_environment.target_environment({"PATH": path, "VIRTUAL_ENV": str(own)}) == target
    # One that is only somewhere on the PATH is not activated.
    path = os.pathsep.join([str(own / "bin"), "/usr/bin", str(target / "bin")])
    assert find_environment.target_environment({"PATH": path, "PWD": str(tmp_path)}) is None


def test_uvs_own_folder_is_found_upwards(
    tmp_path: Path, environment: MakeEnvironment, building_in: Callable
) -> None:
    building_in(in_uv(environment, tmp_path))
    target = environment(tmp_path / "project" / ".venv")
    working = tmp_path / "project" / "a" / "b"
    working.mkdir(parents=True)
    assert find_environment.target_environment({"PATH": "/usr/bin", "PWD": str(working)}) == target
    assert find_environment.target_environment({"PATH": "/usr/bin", "PWD": str(tmp_path)}) is None
    conda = environment(tmp_path / "conda")
    told = {"PATH": "/usr/bin", "PWD": str(working), "CONDA_PREFIX": str(conda)}
    assert find_environment.target_environment(told) == conda


@pytest.mark.parametrize(
    "option",
    [
        ("--python", "3.12"),
        ("--python=3.12",),
        ("-p", "3.12"),
        ("-p3.12",),
        ("--system",),
        ("--target", "x"),
        ("--prefix=x",),
    ],
)
def test_an_option_of_uv_hides_it(
    option: tuple[str, ...], tmp_path: Path, environment: MakeEnvironment, building_in: Callable
) -> None:
    own, target = in_uv(environment, tmp_path), environment(tmp_path / "target")
    path = os.pathsep.join([str(own / "bin"), str(target / "bin")])
    building_in(own, ("uv", "pip", "install", *option, "."))
    assert find_environment.target_environment({"PATH": path}) is None
    building_in(own, ("uv", "pip", "install", "--prerelease=allow", "."))
    assert find_environment.target_environment({"PATH": path}) == target
    assert find_environment.target_environment({"PATH": path, "UV_PYTHON": "3.12"}) is None


def test_an_environment_of_another_python_is_none(
    tmp_path: Path, environment: MakeEnvironment, building_in: Callable
) -> None:
    own, target = in_uv(environment, tmp_path), tmp_path / "target"
    building_in(own)
    (target / "lib" / "python2.7" / "site-packages").mkdir(parents=True)
    (target / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    path = os.pathsep.join([str(own / "bin"), str(target / "bin")])
    assert find_environment.target_environment({"PATH": path}) is None


def test_build_tells_the_python_that_it_runs_on(
    tmp_path: Path, environment: MakeEnvironment, building_in: Callable
) -> None:
    target = environment(tmp_path / "a target")
    line = f"command = {target}/bin/python -m venv --without-pip {tmp_path}/build-env-x\n"
    building_in(environment(tmp_path / "build-env-x", "home = /usr/bin\n" + line))
    assert find_environment.target_environment({"VIRTUAL_ENV": "/another"}) == target
    # Without that line, as other makers of environments write it, the activated one is taken.
    (tmp_path / "build-env-x" / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    assert find_environment.target_environment({"VIRTUAL_ENV": str(target)}) == target
    assert find_environment.target_environment({}) is None


def test_the_torch_of_a_hidden_environment_comes_first(
    tmp_path: Path,
    environment: MakeEnvironment,
    building_in: Callable,
    fake_torch: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, target = in_uv(environment, tmp_path), environment(tmp_path / "target")
    building_in(own)
    theirs, ours = find_environment.site_packages(target)[0], find_environment.site_packages(own)[0]
    monkeypatch.setenv("PATH", os.pathsep.join([str(own / "bin"), str(target / "bin")]))
    monkeypatch.setattr(sys, "path", [str(ours)])
    fake_torch(ours, "2.15.0")
    assert find_torch.find_torch().version == "2.15.0"
    fake_torch(theirs, "2.13.0")
    assert find_torch.find_torch().version == "2.13.0"


def test_folders_are_those_of_the_version_that_runs(tmp_path: Path) -> None:
    folders = find_environment.site_packages(tmp_path)
    version = sysconfig.get_python_version()
    assert tmp_path / "lib" / f"python{version}" / "site-packages" in folders
