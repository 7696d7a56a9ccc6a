"""find_torch: which torch a build is compiled against, tried on folders that only look like installations."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import find_torch
import pytest
import torch

FakeTorch = Callable[..., Path]


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have find_torch look into the given folders alone."""

    def use(*folders: Path) -> None:
        monkeypatch.setattr(find_torch, "candidate_folders", lambda: list(folders))

    return use


def test_nothing_installed(tmp_path: Path, search: Callable[..., None]) -> None:
    search(tmp_path, tmp_path / "not there")
    assert find_torch.find_torch() is None


@pytest.mark.parametrize(
    ("version", "cuda", "release"),
    [
        ("2.13.0+cpu", None, (2, 13, 0)),
        ("2.10.1+cu130", "13.0", (2, 10, 1)),
        ("2.14.0.dev20270101", None, (2, 14, 0)),
    ],
)
def test_what_is_read(
    version: str,
    cuda: str | None,
    release: tuple[int, ...],
    tmp_path: Path,
    fake_torch: FakeTorch,
    search: Callable,
) -> None:
    package = fake_torch(tmp_path, version, cuda)
    search(tmp_path)
    found = find_torch.find_torch()
    assert found == find_torch.Torch(package, version, 20, cuda)
    assert found.release == release


def test_first_folder_wins(tmp_path: Path, fake_torch: FakeTorch, search: Callable[..., None]) -> None:
    fake_torch(tmp_path / "base", "2.11.0")
    fake_torch(tmp_path / "environment", "2.13.0")
    search(tmp_path / "environment", tmp_path / "base")
    found = find_torch.find_torch()
    assert found is not None
    assert found.version == "2.13.0"


def test_a_folder_without_headers_or_version_is_passed_over(
    tmp_path: Path, fake_torch: FakeTorch, search: Callable[..., None]
) -> None:
    fake_torch(tmp_path / "stub", "2.12.0", headers=False)
    (tmp_path / "empty" / "torch" / "include").mkdir(parents=True)
    broken = fake_torch(tmp_path / "broken")
    (broken / "version.py").write_text("raise SystemExit('must not be run')\n", encoding="utf-8")
    fake_torch(tmp_path / "good", "2.13.0")
    search(*(tmp_path / name for name in ("stub", "empty", "broken", "good")))
    found = find_torch.find_torch()
    assert found is not None
    assert found.folder == tmp_path / "good" / "torch"


def test_without_a_stated_standard_it_is_17(tmp_path: Path, fake_torch: FakeTorch, search: Callable) -> None:
    package = fake_torch(tmp_path)
    (package / "utils" / "cpp_extension.py").unlink()
    search(tmp_path)
    found = find_torch.find_torch()
    assert found is not None
    assert found.cxx_standard == 17


def test_the_target_environment_comes_before_the_builds_own_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In pip's isolated build, sys.path has the build's own packages, and sysconfig still names the target's folder.
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "overlay")])
    folders = find_torch.candidate_folders()
    assert Path(sysconfig.get_path("purelib")) in folders[:-1]
    assert folders[-1] == tmp_path / "overlay"
    assert len(folders) == len(set(folders))


def test_without_isolation_it_is_the_order_of_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_torch: FakeTorch
) -> None:
    """A torch on PYTHONPATH or in the user's own folder comes before site-packages, as it is imported."""
    before, site_packages = tmp_path / "before", Path(sysconfig.get_path("purelib"))
    monkeypatch.setattr(sys, "path", [str(before), str(site_packages), str(tmp_path / "after")])
    assert find_torch.candidate_folders() == [before, site_packages, tmp_path / "after"]
    fake_torch(before, "2.10.7")
    found = find_torch.find_torch()
    assert found is not None
    assert found.version == "2.10.7"


def test_pythonpath_wins_as_it_does_when_imported(tmp_path: Path, fake_torch: FakeTorch) -> None:
    fake_torch(tmp_path, "2.11.9")
    done = subprocess.run(
        [sys.executable, find_torch.__file__],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"torch 2.11.9 in {tmp_path / 'torch'}"


@pytest.mark.parametrize("in_environment", [True, False])
def test_pips_isolation_keeps_the_order_of_site(
    in_environment: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyvenv.cfg").write_text("include-system-site-packages = true\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "base") if in_environment else str(tmp_path))
    monkeypatch.setattr(site, "getusersitepackages", lambda: "/home/a/site-packages")
    folders = find_torch.candidate_folders()
    own, users = Path(sysconfig.get_path("purelib")), Path("/home/a/site-packages")
    # An environment's folder comes before the user's, the system's after it: see site.main.
    assert (folders.index(own) < folders.index(users)) == in_environment


def test_the_folder_that_the_build_has_found(tmp_path: Path, fake_torch: FakeTorch, capsys) -> None:
    package = fake_torch(tmp_path, "2.12.3")
    assert find_torch.main(["--in", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == f"torch 2.12.3 in {package}"


@pytest.mark.parametrize(("line", "sees"), [("true", True), ("True", True), ("false", False)])
def test_a_virtual_environment_may_see_the_base(
    line: str, sees: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = f"home = /usr/bin\ninclude-system-site-packages = {line}\nversion = 3.12\n"
    (tmp_path / "pyvenv.cfg").write_text(config, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [])  # as pip's isolation has it
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "base"))
    monkeypatch.setattr(sys, "base_exec_prefix", str(tmp_path / "base"))
    base = sysconfig.get_path("purelib", vars={"base": sys.base_prefix, "platbase": sys.base_prefix})
    assert (Path(base) in find_torch.candidate_folders()) == sees


def test_finds_the_torch_of_this_environment() -> None:
    found = find_torch.find_torch()
    assert found is not None
    assert found.version == torch.__version__
    assert found.folder.samefile(Path(torch.__file__).parent)
    assert found.cuda == torch.version.cuda


def test_text_for_cmake(tmp_path: Path, fake_torch: FakeTorch, search: Callable[..., None], capsys) -> None:
    package = fake_torch(tmp_path / "a folder", "2.13.0+cpu")
    search(tmp_path / "a folder")
    assert find_torch.main(["--cmake"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"set(NAMEGEN_TORCH_DIR [==[{package}]==])" in lines
    assert "set(NAMEGEN_TORCH_VERSION [==[2.13.0+cpu]==])" in lines
    assert "set(NAMEGEN_TORCH_CXX_STANDARD [==[20]==])" in lines


def test_too_old_and_missing_are_told(
    tmp_path: Path, fake_torch: FakeTorch, search: Callable, capsys
) -> None:
    search(tmp_path)
    assert find_torch.main([]) == 1
    assert "no torch was found" in capsys.readouterr().err
    fake_torch(tmp_path, "2.9.1")
    assert find_torch.main([]) == 1
    error = capsys.readouterr().err
    assert "2.9.1" in error
    assert "2.10 or newer" in error


@pytest.mark.parametrize(
    ("setting", "wants", "brings"),
    [(None, True, True), ("", True, True), ("auto", True, True), ("1", True, False), ("0", False, False)],
)
def test_the_setting_for_torch(setting: str | None, wants: bool, brings: bool) -> None:
    environment = {} if setting is None else {"NAMEGEN_TORCH": setting}
    assert find_torch.wants_torch(environment) == wants
    assert find_torch.brings_torch(environment) == brings


@pytest.mark.parametrize("setting", ["2", "on", "no", " 0"])
def test_another_setting_for_torch_is_refused(setting: str) -> None:
    with pytest.raises(SystemExit, match=f"NAMEGEN_TORCH is {setting!r}, expected auto, 0 or 1"):
        find_torch.wants_torch({"NAMEGEN_TORCH": setting})
