"""The scaffold that all commands share: exit statuses, Ctrl-C, and standard output that cannot be written."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from namegen_ext.cli import command
from namegen_ext.cli.command import ArgumentError, CommandError, ended_by_interrupts, run_command
from namegen_ext.cli.parser import Parser

MODULE = "a_command_that_is_made_up"


@pytest.fixture
def run_with(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command whose module does what it is told."""

    def call(behaviour: Any, arguments: list[str] | None = None, **options: Any) -> int:
        def run(checked: Any) -> int:
            if isinstance(behaviour, BaseException):
                raise behaviour
            result: int = behaviour(checked)
            return result

        module = types.ModuleType(MODULE)
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, MODULE, module)
        monkeypatch.setattr(command, "forget_standard_output", lambda: None)
        parser = Parser(prog="prog", allow_abbrev=False)
        parser.add_argument("--number", type=int, default=0)
        return run_command(parser, [] if arguments is None else arguments, MODULE, **options)

    return call


def test_the_statuses_are_those_of_the_readme() -> None:
    statuses = (command.OK, command.FAILED, command.WRONG_ARGUMENT, command.INTERRUPTED, command.TERMINATED)
    assert statuses == (0, 1, 2, 130, 143)


def test_the_status_is_what_run_returns(run_with: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(lambda options: options.number, ["--number", "143"]) == 143
    assert capsys.readouterr() == ("", "")


def test_run_is_given_what_the_check_returned(run_with: Any) -> None:
    assert run_with(lambda checked: checked, ["--number", "3"], check=lambda options: options.number + 1) == 4


@pytest.mark.parametrize(
    ("error", "streams", "status", "message"),
    [
        (CommandError("it diverged"), False, 1, "error: it diverged"),
        (KeyboardInterrupt(), False, 130, "interrupted"),
        (KeyboardInterrupt(), True, 130, "interrupted"),
        (KeyboardInterrupt("after 3 rows"), False, 130, "interrupted after 3 rows"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), True, 0, None),
        (
            BrokenPipeError(errno.EPIPE, "Broken pipe"),
            False,
            1,
            "error: standard output cannot be written: Broken pipe",
        ),
        (OSError(errno.ENOSPC, "No space"), True, 1, "error: standard output cannot be written: No space"),
        (OSError(errno.ENOSPC, "No space", "a.txt"), False, 1, "error: a.txt cannot be written: No space"),
    ],
)
def test_how_a_command_ends(
    error: BaseException,
    streams: bool,
    status: int,
    message: str | None,
    run_with: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_with(error, streams=streams) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == ("" if message is None else f"prog: {message}\n")


def test_a_wrong_argument_is_told_by_whoever_finds_it(
    run_with: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(options: argparse.Namespace) -> None:
        raise ArgumentError("argument --number: got 0")

    for arguments in ({"behaviour": refuse}, {"behaviour": lambda checked: 0, "check": refuse}):
        with pytest.raises(SystemExit) as caught:
            run_with(**arguments)
        assert caught.value.code == 2
        assert capsys.readouterr().err == "prog: error: argument --number: got 0\n"


def test_other_errors_are_not_hidden(run_with: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        run_with(lambda checked: 1 // 0)


def test_the_handler_of_sigint_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert before is signal.default_int_handler
    with ended_by_interrupts("prog"):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ModuleNotFoundError), ended_by_interrupts("prog"):
        importlib.import_module("no_such_module")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_programs_own_handler_of_sigint_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_by_interrupts("prog"):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
def test_help_that_cannot_be_written_is_told() -> None:
    # argparse passes over a write that fails; where it is buffered, the flush fails.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "namegen_ext.cli", "plot", "--help"],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "namegen plot: error: standard output cannot be written: No space left on device\n"
    )
