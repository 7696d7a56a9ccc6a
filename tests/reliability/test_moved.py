"""A run directory that is moved, zipped and unpacked elsewhere; and one that two processes want."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fork_server import ForkServer, same_package
from run_files import assert_same_run, look

import namegen_ext


@pytest.fixture
def flags(small: list[str]) -> list[str]:
    return [*small, "--steps", "40", "--checkpoint-every", "10", "--optimizer", "adamw"]


@pytest.mark.parametrize("archive", ["zip", "gztar", None], ids=["zip", "tar.gz", "moved"])
@pytest.mark.parametrize("data", ["file", "census"])
def test_a_run_is_loaded_and_resumed_elsewhere(
    server: ForkServer, flags: list[str], quick_path: Path, archive: str | None, data: str
) -> None:
    if data == "census":
        flags = [*flags, "--data", "census"]
    whole, path = quick_path / "whole", quick_path / "run"
    assert server.run("train", *flags, "--out", whole).status == 0
    assert server.run("train", *flags, "--out", path, die_at=50, root=str(path)).status < 0
    saved = look(path).saved
    assert 0 < saved < 40
    names = namegen_ext.load(path).sample(20, seed=5)

    elsewhere = quick_path / "else where" / "ünd"
    elsewhere.parent.mkdir()
    if archive is None:
        shutil.move(path, elsewhere)
    else:
        shutil.unpack_archive(shutil.make_archive(str(quick_path / "packed"), archive, path), elsewhere)
        shutil.rmtree(path)
    assert namegen_ext.load(elsewhere).sample(20, seed=5) == names
    ended = server.run("train", "--resume", elsewhere)
    assert ended.status == 0, ended.errors
    assert ended.output.startswith(f"resuming {elsewhere} after {saved} of 40 steps")
    assert_same_run(elsewhere, whole)
    assert namegen_ext.load(elsewhere).sample(20, seed=5) == namegen_ext.load(whole).sample(20, seed=5)


def test_a_second_process_is_refused(server: ForkServer, flags: list[str], quick_path: Path) -> None:
    path = quick_path / "run"
    endless = [*flags, "--steps", "1000000000", "--out", str(path)]
    command = [sys.executable, "-m", "namegen_ext.train", *endless]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=same_package()) as first:
        try:
            while not (path / "model.safetensors").exists() and first.poll() is None:
                time.sleep(0.01)
            for arguments, said in (
                (["--resume", path], f"argument --resume: {path}: another process is training in it"),
                ([*flags, "--out", path], f"argument --out: {path}: already holds a run"),
            ):
                ended = server.run("train", *arguments)
                assert ended.status == 2
                assert ended.errors.startswith(f"namegen train: error: {said}")
                assert ended.errors.count("\n") == 1
            sampled = server.run("sample", path, "--seed", "1")
            assert sampled.status == 0, sampled.errors
            assert first.poll() is None
        finally:
            first.kill()
    assert server.run("train", "--resume", path, "--steps", str(look(path).saved + 5)).status == 0
