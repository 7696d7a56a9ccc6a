"""The build backend asks for torch only where the target environment has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import find_torch
import pytest

build_backend = pytest.importorskip("build_backend", reason="setuptools is not installed here")

HOOKS = ["get_requires_for_build_wheel", "get_requires_for_build_editable"]


@pytest.fixture(autouse=True)
def _no_setup_py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAMEGEN_TORCH", raising=False)
    # setuptools' own hooks would run setup.py.
    for hook in HOOKS:
        monkeypatch.setattr(build_backend.build_meta, hook, lambda config_settings=None: ["from-setuptools"])


@pytest.mark.parametrize("hook", HOOKS)
def test_torch_is_asked_for_where_there_is_none(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_backend, "find_torch", lambda: None)
    assert getattr(build_backend, hook)() == ["from-setuptools", "torch>=2.10"]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("setting", ["0", "1"])
def test_a_setting_asks_for_none(setting: str, hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NAMEGEN_TORCH=0 needs no torch, and 1 wants the one that is installed."""
    monkeypatch.setattr(build_backend, "find_torch", lambda: None)
    monkeypatch.setenv("NAMEGEN_TORCH", setting)
    assert getattr(build_backend, hook)() == ["from-setuptools"]


@pytest.mark.parametrize("hook", HOOKS)
def test_an_installed_torch_is_kept(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = find_torch.Torch(Path("/nowhere/torch"), "2.13.0+cpu", 20, None)
    monkeypatch.setattr(build_backend, "find_torch", lambda: installed)
    assert getattr(build_backend, hook)() == ["from-setuptools"]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(("tool", "option"), [("uv", "--no-build-isolation"), ("build", "--no-isolation")])
def test_a_hidden_environment_ends_with_what_helps(
    tool: str, option: str, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest torch would take the place of the one that is there."""
    monkeypatch.setattr(build_backend, "find_torch", lambda: None)
    monkeypatch.setattr(build_backend, "hiding_tool", lambda: tool)
    monkeypatch.setattr(build_backend, "target_environment", lambda environment: None)
    with pytest.raises(SystemExit) as raised:
        getattr(build_backend, hook)()
    problem, remedy = str(raised.value).strip().splitlines()
    assert f"{tool} builds in an environment of its own" in problem
    assert option in remedy
    # One that is known and has no torch gets one, as with pip; and what needs no torch needs to know none.
    monkeypatch.setattr(build_backend, "target_environment", lambda environment: Path("/target"))
    assert getattr(build_backend, hook)() == ["from-setuptools", "torch>=2.10"]
    monkeypatch.setattr(build_backend, "target_environment", lambda environment: None)
    monkeypatch.setenv("NAMEGEN_TORCH", "0")
    assert getattr(build_backend, hook)() == ["from-setuptools"]


@pytest.mark.parametrize("hook", HOOKS)
def test_sources_that_cannot_be_written_to(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_backend.os, "access", lambda path, mode: False)
    with pytest.raises(SystemExit, match=r"cannot be written to.*\nTo mend it: copy the folder"):
        getattr(build_backend, hook)()


def test_every_hook_of_the_standard_is_there() -> None:
    # PEP 517 and PEP 660.
    hooks: dict[str, Callable] = {name: getattr(build_backend, name) for name in build_backend.__all__}
    wanted = {"build_wheel", "build_sdist", "build_editable", *HOOKS, "get_requires_for_build_sdist"}
    assert wanted <= hooks.keys()
    assert all(map(callable, hooks.values()))
