"""Several processes train as one does: the same losses, one writer, and no hang when one of them dies."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from launch_processes import SECONDS, finish, start

from namegen_ext.train import main
from namegen_ext.training import Trainer, TrainOptions, load_run
from namegen_ext.training.process_group import ProcessGroup

TRAIN = ["-m", "namegen_ext.train"]
SMALL = ["--hidden-size", "16", "--embedding-dim", "4", "--samples", "3", "--eval-every", "20"]
pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed")


@pytest.fixture(scope="module")
def word_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(0)
    syllables = [consonant + vowel for consonant in "bdklmnrst" for vowel in "aeio"]
    path = tmp_path_factory.mktemp("words") / "made-up.txt"
    path.write_text("\n".join("".join(draw.choices(syllables, k=3)) for _ in range(300)), encoding="utf-8")
    return path


def metrics_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def wait_for(path: Path, processes: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert all(process.poll() is None for process in processes), finish(processes)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_synchronised_batch_norm_is_that_of_all_rows() -> None:
    script = str(Path(__file__).with_name("check_batch_norm.py"))
    assert finish(start(3, [script])) == [(0, "all equal\n", "")] * 3


@pytest.mark.parametrize(
    "options",
    [
        ["--fused=layers", "--batch-size", "13"],  # shares of 6 and 7
        ["--fused=layers", "--model", "wavenet", "--block-size", "4", "--optimizer", "adamw"],
        # Words have different numbers of targets, and so have the shares.
        [
            "--fused=layers",
            "--model",
            "gpt",
            "--num-heads",
            "2",
            "--batch-size",
            "13",
            "--optimizer",
            "adamw",
        ],
        ["--batch-norm-variance", "unbiased", "--momentum", "0.5", "--learning-rate", "0.05"],
    ],
    ids=lambda options: " ".join(options),
)
def test_the_losses_are_those_of_one_process(word_file: Path, tmp_path: Path, options: list[str]) -> None:
    small = SMALL[2:] if "gpt" in options else SMALL
    arguments = [*small, "--data", str(word_file), "--steps", "50", "--log-every", "1", *options]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    main_process, other = finish(start(2, [*TRAIN, *arguments, "--out", "two"], cwd=tmp_path))
    assert main_process[::2] == (0, "")
    assert other == (0, "", "")  # it tells nothing
    assert "2 processes, each on its share of every batch" in main_process[1]
    one, two = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two")
    assert len(one) == len(two)
    for expected, line in zip(one, two, strict=True):
        assert line.keys() == expected.keys()
        for key, value in expected.items():
            # As for the step engine: sums in another order, in float32, over at most 50 steps.
            assert line[key] == pytest.approx(value, abs=1e-5), (key, line)
    assert load_run(tmp_path / "two").step == 50


def test_only_one_process_writes(word_file: Path, tmp_path: Path) -> None:
    ended = finish(start(2, [*TRAIN, *SMALL, "--data", str(word_file), "--steps", "30"], cwd=tmp_path))
    assert [status for status, _, _ in ended] == [0, 0], ended
    (runs,) = tmp_path.iterdir()
    (run,) = runs.iterdir()
    assert len(metrics_of(run)) == len({json.dumps(line) for line in metrics_of(run)})
    assert json.loads((run / "summary.json").read_text())["steps"] == 30


@pytest.mark.parametrize("dies", [0, 1])
def test_when_one_dies_the_other_ends_with_an_error(word_file: Path, tmp_path: Path, dies: int) -> None:
    path = tmp_path / "run"
    command = [*TRAIN, *SMALL, "--data", str(word_file), "--steps", "1000000", "--out", str(path)]
    processes = start(2, [*command, "--checkpoint-every", "5"])
    wait_for(path / "model.safetensors", processes)
    processes[dies].send_signal(signal.SIGKILL)
    ended = finish(processes)
    assert ended[dies][0] == -signal.SIGKILL
    status, _, errors = ended[1 - dies]
    assert status == 1
    (line,) = errors.splitlines()
    assert "error: another process of this run has ended, or cannot be reached any more" in line
    assert load_run(path).step >= 5


def test_torchrun_is_stopped_and_the_run_resumed_with_the_same_bits(word_file: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *TRAIN]
    arguments = [*SMALL, "--data", str(word_file), "--fused=layers", "--checkpoint-every", "7"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(*more: str) -> subprocess.Popen[str]:
        command = [*torchrun, *more]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    stopped = run(*arguments, "--steps", "200", "--out", str(tmp_path / "parted"))
    wait_for(tmp_path / "parted" / "model.safetensors", [stopped])
    stopped.send_signal(signal.SIGTERM)
    finish([stopped])
    assert 0 < load_run(tmp_path / "parted").step < 200
    resumed, whole = finish(
        [
            run("--resume", str(tmp_path / "parted")),
            run(*arguments, "--steps", "200", "--out", str(tmp_path / "whole")),
        ]
    )
    assert resumed[0] == 0, resumed
    assert whole[0] == 0, whole
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (tmp_path / "parted" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "fused", "said"),
    [
        ({}, "step", "got 'step', but the step engine runs in one process, and there are 2"),
        ({"batch_size": 1, "batch_norm": False}, None, "batch_size: got 1, expected at least 2, an example"),
        (
            {"model": "gpt", "num_heads": 2, "dropout": 0.1},
            None,
            "dropout: got 0.1, expected 0 with more than one process",
        ),
    ],
)
def test_what_several_processes_cannot_do(options: dict[str, Any], fused: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Trainer(["ab", "ba", "aab"] * 9, TrainOptions(**options), fused=fused, group=ProcessGroup(1, 2))


def test_more_processes_than_examples() -> None:
    with pytest.raises(
        ValueError, match=r"full_batch: got \d+ examples, expected one at least for each process"
    ):
        Trainer(["ab", "ba", "aab"], TrainOptions(full_batch=True, split="all"), group=ProcessGroup(0, 1000))


def test_a_refusal_ends_every_process(word_file: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(word_file), "--fused=step", "--out", str(tmp_path / "run")]
    for status, _, errors in finish(start(2, [*TRAIN, *arguments])):
        assert status == 2
        (line,) = errors.splitlines()
        assert "argument --fused: got 'step', but the step engine runs in one process" in line
    assert not (tmp_path / "run").exists()


def test_what_the_main_process_refuses_ends_the_others_in_one_line(word_file: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("precious")
    arguments = ["--data", str(word_file), "--fused=layers", "--out", str(tmp_path / "run")]
    (refused, _, problem), (ended, _, errors) = finish(start(2, [*TRAIN, *arguments]))
    assert (refused, ended) == (2, 1)
    assert "argument --out: " in problem
    (line,) = errors.splitlines()
    assert "error: another process of this run has ended" in line


def test_processes_that_cannot_meet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    monkeypatch.setenv("RANK", "0")
    assert main(["--out", str(tmp_path / "run")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "error: the other processes of the run cannot be met: " in line


def test_auto_takes_the_layers_and_says_why() -> None:
    words = ["ab", "ba", "aab"] * 9
    trainer = Trainer(words, TrainOptions(), fused="auto", group=ProcessGroup(0, 2))
    assert trainer.backend.name == "fused-layers"
    assert "the step engine runs in one process, and there are 2" in trainer.backend.note


@pytest.mark.parametrize(("count", "size"), [(13, 2), (3, 3), (2, 3), (32, 5)])
def test_the_shares_make_up_the_batch_and_are_even(count: int, size: int) -> None:
    shares = [ProcessGroup(rank, size).share_of(count) for rank in range(size)]
    assert [number for share in shares for number in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
