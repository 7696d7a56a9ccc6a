"""Directories that may be read only: what reads works, and what writes says so in one line."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fork_server import ForkServer

# Permissions do not bind root, whose children therefore become a user who owns nothing.
NOBODY = os.geteuid() == 0


def one_line(errors: str) -> str:
    assert re.fullmatch(r"namegen \w+: error: [^\n]+\n", errors), errors
    return errors


@pytest.fixture
def flags(small: list[str], quick_path: Path, word_file: Path) -> list[str]:
    """The flags of a small run whose words everyone can read."""
    if NOBODY and quick_path.is_relative_to("/tmp"):
        pytest.skip("no directory that another user could reach")
    quick_path.chmod(0o755)
    words = quick_path / "words.txt"
    words.write_bytes(word_file.read_bytes())
    return [*small, "--data", str(words), "--steps", "10"]


@pytest.fixture
def run_path(server: ForkServer, flags: list[str], quick_path: Path) -> Iterator[Path]:
    """A run in a directory that may only be read, as may all in it."""
    path = quick_path / "run"
    assert server.run("train", *flags, "--out", path).status == 0
    (path / "summary.json").unlink()  # so that it could be resumed
    for entry in (path, *path.rglob("*")):
        entry.chmod(0o555 if entry.is_dir() else 0o444)
    yield path
    for entry in (path, path / "checkpoints"):
        entry.chmod(0o755)


def test_a_run_that_may_only_be_read_is_sampled_from(server: ForkServer, run_path: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in run_path.rglob("*")}
    ended = server.run("sample", run_path, "--seed", "3", nobody=NOBODY)
    assert ended.status == 0, ended.errors
    assert ended.output == server.run("sample", run_path, "--seed", "3").output != ""
    assert {file: file.stat().st_mtime_ns for file in run_path.rglob("*")} == before


def test_a_run_that_may_only_be_read_is_not_resumed(server: ForkServer, run_path: Path) -> None:
    ended = server.run("train", "--resume", run_path, "--steps", "20", nobody=NOBODY)
    assert ended.status == 2
    expected = f"argument --resume: {run_path}: cannot be written: Permission denied\n"
    assert one_line(ended.errors).endswith(expected)


def test_a_run_inside_of_a_directory_that_may_only_be_read(
    server: ForkServer, flags: list[str], run_path: Path
) -> None:
    ended = server.run("train", *flags, "--out", run_path / "new", nobody=NOBODY)
    assert ended.status == 2
    expected = f"argument --out: {run_path / 'new'}: cannot be made: Permission denied\n"
    assert one_line(ended.errors).endswith(expected)


@pytest.mark.parametrize("command", [["sample"], ["train", "--resume"]], ids=lambda words: words[0])
def test_a_directory_that_may_not_be_read(server: ForkServer, run_path: Path, command: list[str]) -> None:
    run_path.chmod(0)
    ended = server.run(*command, run_path, nobody=NOBODY)
    assert ended.status == 2
    assert "Permission denied" in one_line(ended.errors)


def test_checkpoints_that_may_not_be_read(server: ForkServer, run_path: Path) -> None:
    """Checkpoints that cannot be read do not count as missing. Otherwise a run would begin again from nothing."""
    (run_path / "checkpoints").chmod(0)
    ended = server.run("train", "--resume", run_path, nobody=NOBODY)
    assert ended.status == 2
    assert f"{run_path / 'checkpoints'}: cannot be read: Permission denied" in one_line(ended.errors)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "words.txt"])
def test_a_file_that_may_not_be_read(server: ForkServer, run_path: Path, name: str) -> None:
    (run_path / name).chmod(0)
    ended = server.run("sample", run_path, nobody=NOBODY)
    assert ended.status == 2
    assert str(run_path / name) in one_line(ended.errors)
    assert "Permission denied" in ended.errors


def test_a_name_that_is_too_long(server: ForkServer, flags: list[str], quick_path: Path) -> None:
    path = quick_path / ("long" * 100)
    for arguments in (["sample", path], ["train", "--resume", path], ["train", *flags, "--out", path]):
        ended = server.run(*arguments)
        assert ended.status == 2
        assert "File name too long" in one_line(ended.errors)


def test_a_file_system_that_may_only_be_read(server: ForkServer, flags: list[str], tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    try:
        assert server.run("train", *flags, "--out", path / "run").status == 0
        names = server.run("sample", path / "run", "--seed", "3").output
        subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
        assert server.run("sample", path / "run", "--seed", "3").output == names != ""
        for arguments in (["--resume", path / "run", "--steps", "20"], [*flags, "--out", path / "new"]):
            ended = server.run("train", *arguments)
            assert ended.status == 2
            assert "Read-only file system" in one_line(ended.errors)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
