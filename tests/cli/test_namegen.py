"""The console script ``namegen``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from namegen_ext import __version__
from namegen_ext.cli import __main__ as console_script
from namegen_ext.cli import main as cli


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    output = capsys.readouterr().out
    assert all(command in output for command in ("train", "sample", "plot", "lessons", "reproduce", "bench"))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"namegen_ext {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["teach"], ["--fast"]])
def test_no_such_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "expected a command: fit, train, sample, export, score, plot, lessons, reproduce, bench" in errors
    assert all(argument in errors for argument in arguments)


def test_a_command_whose_module_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main(["reproduce"]) == 2
    assert capsys.readouterr().err == "namegen: error: the command 'reproduce' is not part of this version\n"


@pytest.mark.parametrize("command", ["train", "sample", "plot", "lessons"])
def test_a_commands_own_messages_carry_its_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--no-such-flag"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"namegen {command}: error: ")


def test_train_as_a_process_then_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--steps", "5", "--hidden-size", "8", "--out", "run"]
    command = [sys.executable, "-m", "namegen_ext.cli", "train", *small]
    trained = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert trained.returncode == 0, trained.stderr
    assert cli.main(["sample", str(tmp_path / "run"), "-n", "7"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 7


def test_the_console_script_is_declared() -> None:
    try:
        scripts = importlib.metadata.distribution("namegen_ext").entry_points
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("namegen_ext is not installed here, so it has no console script")
    (script,) = [script for script in scripts if script.name == "namegen"]
    assert script.load() is console_script.run
