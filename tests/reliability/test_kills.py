"""Runs that are killed, at random moments and at every change of a file, and resumed: they end with the same bits.

Each process is a real one; see fork_server.py for why most of them are forked.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fork_server import ForkServer, same_package
from run_files import assert_same_run, last_told, look

from namegen_ext.runs.directory import RunDirectory

STEPS = 24
BACKENDS = ([], ["--fused=layers"], ["--fused=step"])
GPT = ["--model", "gpt", "--block-size", "4", "--embedding-dim", "4", "--num-layers", "1", "--num-heads", "2"]
CASES = [
    *(("mlp", backend, optimizer) for backend in BACKENDS for optimizer in ("sgd", "adamw")),
    *(("gpt", backend, "adamw") for backend in BACKENDS),
]
KILLS = 17  # in each of the nine cases: 153

SLOW_DISK = 0.001  # so that a good part of the time is spent in writing

# Every case's kills, and how many of them came while a file was being written, for the last test to judge.
_kills: list[bool] = []


@pytest.mark.parametrize(("model", "backend", "optimizer"), CASES, ids=str)
def test_killed_at_random_moments(
    server: ForkServer, small: list[str], quick_path: Path, model: str, backend: list[str], optimizer: str
) -> None:
    draw = random.Random(f"{model} {backend} {optimizer}")
    every = 1 if optimizer == "sgd" else 3
    sizes = small if model == "mlp" else [*small[:2], *GPT, "--samples", "5"]
    flags = [*sizes, *backend, "--optimizer", optimizer, "--steps", str(STEPS), "--log-every", "1"]
    flags += ["--eval-every", "7", "--checkpoint-every", str(every)]
    whole = server.run("train", *flags, "--out", quick_path / "whole", slow_disk=SLOW_DISK)
    assert whole.status == 0, whole.errors

    kills, runs = 0, 0
    while kills < KILLS:
        path = quick_path / f"run{runs}"
        runs += 1
        while not (path / "summary.json").exists():
            begun = (path / "config.json").exists()
            if not begun and path.exists():  # killed before it was a run
                path = quick_path / f"run{runs}"
                runs += 1
            arguments = ["--resume", path] if begun else [*flags, "--out", path]
            before = look(path).saved
            patience = draw.uniform(0, whole.seconds / 3) if kills < KILLS else None
            ended = server.run("train", *arguments, kill_after=patience, slow_disk=SLOW_DISK)
            assert ended.status in (0, -signal.SIGKILL), ended.errors
            assert ended.errors == ""
            if begun and ended.output:
                assert ended.output.startswith(f"resuming {path} after {before} of {STEPS} steps")
            if ended.status == 0:
                continue
            kills += 1
            found = look(path)
            _kills.append(bool(found.half_written))
            assert found.saved >= before
            assert found.told - found.saved <= every  # what is lost
        assert_same_run(path, quick_path / "whole")


def test_so_many_kills_and_some_of_them_in_the_middle_of_a_file() -> None:
    if len(_kills) < KILLS * len(CASES):
        pytest.skip("counts the kills of the tests before it, of which not all were run")
    print(f"{len(_kills)} kills at random moments, {sum(_kills)} of them with a file half written")
    assert len(_kills) >= 100
    assert any(_kills)


def test_killed_before_each_change_of_a_file(server: ForkServer, small: list[str], quick_path: Path) -> None:
    """Kill the process before each change of its files: opening, syncing, renaming, removing, making a directory."""
    flags = [*small, "--fused=step", "--optimizer", "adamw", "--steps", "3", "--log-every", "1"]
    flags += ["--checkpoint-every", "1"]
    assert server.run("train", *flags, "--out", quick_path / "whole").status == 0
    number, saved, resumed = 0, 0, 0
    while True:
        number += 1
        path = quick_path / f"run{number}"
        ended = server.run("train", *flags, "--out", path, die_at=number, root=str(path))
        if ended.status == 0:
            break
        assert ended.status == -signal.SIGKILL, ended.errors
        found = look(path)
        assert found.saved >= saved  # a later death keeps as many steps or more
        assert found.told - found.saved <= 1
        saved = found.saved
        if not (path / "config.json").exists():
            assert found.told == 0
            continue
        if not (path / "summary.json").exists():  # else it has come to its end
            resumed += 1
            again = server.run("train", "--resume", path)
            assert again.status == 0, again.errors
            assert again.errors == ""  # no warning either
        assert_same_run(path, quick_path / "whole")
    assert saved == 3
    assert resumed >= 40, resumed  # 3 saves of 13 changes each, and the summary


def test_killed_in_the_middle_of_a_write(server: ForkServer, small: list[str], quick_path: Path) -> None:
    """A file of a checkpoint is cut by the kernel after so many bytes, and the process killed with it."""
    flags = [*small, "--optimizer", "adamw", "--steps", "4", "--log-every", "1", "--checkpoint-every", "1"]
    assert server.run("train", *flags, "--out", quick_path / "whole").status == 0
    largest = max(file.stat().st_size for file in (quick_path / "whole").rglob("*"))
    begun = quick_path / "begun"
    assert server.run("train", *flags, "--out", begun, die_at=40, root=str(begun)).status < 0
    draw = random.Random(0)
    for _ in range(10):
        size = draw.randrange(1, largest)
        ended = server.run("train", "--resume", begun, largest_file=size, torn=True)
        assert ended.status == -signal.SIGXFSZ, (size, ended)
        assert look(begun).half_written
    assert server.run("train", "--resume", begun).status == 0
    assert_same_run(begun, quick_path / "whole")


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
)
def test_a_process_of_its_own(
    server: ForkServer, small: list[str], tmp_path: Path, number: int, status: int
) -> None:
    flags = [*small, "--steps", "400", "--log-every", "10", "--checkpoint-every", "10"]
    assert server.run("train", *flags, "--out", tmp_path / "whole").status == 0
    path = tmp_path / "run"
    command = [sys.executable, "-m", "namegen_ext.train", *flags, "--out", str(path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, env=same_package()) as process:
        while last_told(RunDirectory(path)) < 50 and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert errors == ""
    found = look(path)
    assert 40 <= found.saved < 400  # step 50 was told, and may not have been saved yet
    if status > 0:
        assert f"interrupted after {found.saved} of 400 steps; go on with --resume {path}" in output
        assert (path / "summary.json").exists()
    again = server.run("train", "--resume", path)
    assert again.status == 0, again.errors
    assert again.output.startswith(f"resuming {path} after {found.saved} of 400 steps")
    assert_same_run(path, tmp_path / "whole")
