"""``python -m namegen_ext.train``: what it writes and says, and its exit status."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from namegen_ext import Generator
from namegen_ext.data import load_words
from namegen_ext.models import MODELS
from namegen_ext.runs import files
from namegen_ext.runs.directory import RunDirectory
from namegen_ext.train import main
from namegen_ext.training import RECIPES, Trainer, TrainOptions, TrainResult, load_run

COMMAND = [sys.executable, "-m", "namegen_ext.train"]
SMALL = ["--hidden-size", "8", "--embedding-dim", "3", "--steps", "30", "--threads", "1"]

# The contract; more keys are allowed.
SUMMARY_KEYS = {
    "model",
    "recipe",
    "backend",
    "device",
    "parameters",
    "steps",
    "batch_size",
    "train_loss",
    "dev_loss",
    "test_loss",
    "train_seconds",
    "steps_per_second",
    "samples",
}


def run(*arguments: str | Path, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120, **options
    )


def summary_of(path: Path) -> dict[str, Any]:
    return json.loads((path / "summary.json").read_text(encoding="utf-8"))


def wrong(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run with wrong arguments; return the one line that it ends in."""
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, arguments)))
    output = capsys.readouterr()
    assert caught.value.code == 2
    assert output.out == ""
    assert re.fullmatch(r"python -m namegen_ext\.train: error: [^\n]+\n", output.err), output.err
    return output.err


# ---- what a run writes and says ----------------------------------------------------------------------------


def test_the_default_run_writes_its_directory_and_prints_names(tmp_path: Path) -> None:
    finished = run("--steps", "40", "--fused", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    path = tmp_path / "runs" / "mlp-census-1"
    summary = summary_of(path)
    assert summary.keys() >= SUMMARY_KEYS
    assert summary["model"] == "mlp"
    assert summary["recipe"] == "default"
    assert summary["backend"] == "fused-step"
    assert summary["device"] == "cpu"
    assert summary["parameters"] == 12_297
    assert summary["steps"] == 40
    assert summary["batch_size"] == 32
    assert summary["steps_per_second"] == pytest.approx(40 / summary["train_seconds"])
    for name in ("train_loss", "dev_loss", "test_loss", "unseen_dev_loss"):
        assert 1.5 < summary[name] < math.log(27)
        assert f"{summary[name]:.4f}" in finished.stdout
    assert len(summary["samples"]) == 20
    assert set(summary["samples"]) <= set(finished.stdout.split())
    assert "steps/s" in finished.stdout
    assert str(path.relative_to(tmp_path)) in finished.stdout
    assert load_run(path).words == load_words("census").words


def test_a_second_run_takes_the_next_number(
    word_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main([*SMALL, "--data", str(word_file)]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["mlp-made-up-1", "mlp-made-up-2"]
    first, second = (summary_of(tmp_path / "runs" / f"mlp-made-up-{number}") for number in (1, 2))
    timings = {"train_seconds", "steps_per_second"}
    assert {key: first[key] for key in first.keys() - timings} == {
        key: second[key] for key in second.keys() - timings
    }


def test_a_terminal_that_lacks_letters_gets_them_escaped(word_file: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    finished = run(*SMALL, "--data", word_file, cwd=tmp_path, env=environment)
    assert finished.returncode == 0, finished.stderr
    samples = summary_of(tmp_path / "runs" / "mlp-made-up-1")["samples"]
    assert any(not name.isascii() for name in samples)
    assert "\\xe9" in finished.stdout


# Each option of TrainOptions, with a value that is not its default. A model is given the options that it has.
FLAGS: dict[str, dict[str, Any]] = {
    "mlp": {
        "model": "mlp",
        "block_size": 4,
        "embedding_dim": 3,
        "hidden_size": 6,
        "num_hidden_layers": 2,
        "init": "scaled-hidden",
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "final_learning_rate": 0.01,
        "schedule": "two-step",
        "switch_at": 0.75,
        "momentum": 0.5,
        "nesterov": True,
        "weight_decay": 0.001,
        "batch_size": 5,
        "order": "in-order",
        "warmup": 3,
        "clip_grad_norm": 0.5,
        "ema": 0.9,
        "steps": 7,
        "seed": 3,
        "split_seed": 9,
        "split": "makemore",
        "hidden_bias": False,
        "batch_norm_variance": "unbiased",
    },
    "wavenet": {
        "model": "wavenet",
        "block_size": 4,
        "factors": "4",
        "batch_norm": False,
        "optimizer": "adamw",
        "beta1": 0.8,
        "beta2": 0.99,
        "full_batch": True,
        "steps": 3,
    },
    "gpt": {
        "model": "gpt",
        "embedding_dim": 6,
        "num_layers": 3,
        "num_heads": 2,
        "dropout": 0.25,
        "tied": True,
        "norm": "rms",
        "activation": "relu",
        "biases": False,
        "final_norm": False,
        "embedding_norm": True,
        "steps": 3,
    },
    "ngram": {"model": "ngram", "init": "counts", "estimator": "add-k", "smoothing": 0.5, "block_size": 1},
    "another estimator": {"model": "ngram", "estimator": "witten-bell", "block_size": 1},
    "a third": {"model": "ngram", "estimator": "kneser-ney", "block_size": 5},
    "mixture": {"model": "mixture", "budget": 4.0, "refit": True, "seed": 3, "split_seed": 4},
}


def test_every_flag_is_given() -> None:
    assert {option for given in FLAGS.values() for option in given} == {
        field.name for field in fields(TrainOptions)
    }


@pytest.mark.parametrize("given", FLAGS.values(), ids=FLAGS.keys())
def test_flags_reach_the_run(given: dict[str, Any], word_file: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(word_file), "--out", str(tmp_path / "run"), "--samples", "3"]
    for option, value in given.items():
        flag = option.replace("_", "-")
        arguments += (
            [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}={value}"]
        )
    assert main(arguments) == 0
    options = load_run(tmp_path / "run").config.options
    assert {option: getattr(options, option) for option in given} == given
    assert options == RECIPES["default"].train_options(given)
    assert len(summary_of(tmp_path / "run")["samples"]) == 3


def test_a_recipe_and_a_flag_beside_it(word_file: Path, tmp_path: Path) -> None:
    arguments = ["--recipe", "devlog-2-small-output", "--data", str(word_file), "--steps", "5"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    options = load_run(tmp_path / "run").config.options
    assert options == RECIPES["devlog-2-small-output"].train_options({"steps": 5})
    assert summary_of(tmp_path / "run")["recipe"] == "devlog-2-small-output"


def test_stock_and_fused_layers_agree(word_file: Path, tmp_path: Path) -> None:
    losses = {}
    for fused in ([], ["--fused=layers"]):
        path = tmp_path / f"run{len(losses)}"
        assert main([*SMALL, *fused, "--data", str(word_file), "--out", str(path)]) == 0
        losses[summary_of(path)["backend"]] = summary_of(path)["dev_loss"]
    assert losses.keys() == {"stock", "fused-layers"}
    assert losses["stock"] == pytest.approx(losses["fused-layers"], abs=1e-4)  # what the project promises


def test_help_shows_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    text = " ".join(printed.split())
    for field in fields(TrainOptions):
        flag = "--" + field.name.replace("_", "-")
        told = re.search(rf"^  {flag}(?=[ ,]).*?\(default:\s+([^()]*)\)", printed, re.MULTILINE | re.DOTALL)
        assert told is not None, flag
        usual, *others = " ".join(told[1].split()).split("; ")
        of_model = dict(other.split(" ", 1) for other in others)
        # What each model is trained with, where nothing else is asked for.
        for model, spec in MODELS.items():
            if not spec.found:
                used = getattr(RECIPES["default"].train_options({"model": model}), field.name)
                if isinstance(used, bool):
                    used = "on" if used else "off"
                if field.name != "model":
                    assert of_model.get(model, usual) == str(used), (flag, model)
    for flag in (
        "recipe",
        "data",
        "fused",
        "device",
        "threads",
        "out",
        "resume",
        "log-every",
        "eval-every",
        "samples",
    ):
        assert re.search(rf"--{flag}\b[^()]*\(default: [^)]+\)", text), flag
    assert all(name in text for name in RECIPES)


# ---- Ctrl-C and resuming -----------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT, which is POSIX")
def test_ctrl_c_saves_the_run_and_resuming_goes_on(word_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = [*COMMAND, *SMALL, "--steps", "1000000", "--data", str(word_file), "--out", str(path)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever started the tests may have them ignore SIGINT (a shell does, for jobs in the background).
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        while not (path / "metrics.jsonl").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors == ""
    summary = summary_of(path)
    assert summary["interrupted"] is True
    assert 0 < summary["steps"] < 1_000_000
    assert f"--resume {path}" in output
    assert load_run(path).step == summary["steps"]

    steps = summary["steps"] + 20
    assert main(["--resume", str(path), "--steps", str(steps), "--threads", "1"]) == 0
    resumed = summary_of(path)
    assert resumed["steps"] == steps
    assert resumed["interrupted"] is False
    assert resumed["train_seconds"] > summary["train_seconds"]


def test_more_steps_on_a_finished_run(word_file: Path, tmp_path: Path) -> None:
    # With a constant rate, 30 steps and 20 more are 50 steps.
    arguments = [*SMALL, "--schedule", "constant", "--data", str(word_file), "--fused", "--samples", "5"]
    assert main([*arguments, "--out", str(tmp_path / "parted")]) == 0
    assert main(["--resume", str(tmp_path / "parted"), "--steps", "50", "--samples", "5"]) == 0
    assert main([*arguments, "--steps", "50", "--out", str(tmp_path / "whole")]) == 0
    for name in ("model.safetensors", "config.json", "words.txt"):
        assert (tmp_path / "parted" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    parted, whole = summary_of(tmp_path / "parted"), summary_of(tmp_path / "whole")
    for key in ("backend", "steps", "dev_loss", "samples"):
        assert parted[key] == whole[key]


def test_what_cannot_be_resumed(word_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run"
    assert main([*SMALL, "--data", str(word_file), "--out", str(path)]) == 0
    capsys.readouterr()
    assert "argument --steps: got 30, but 30 steps are done" in wrong(capsys, "--resume", path)
    for flag, value in (("--seed", "3"), ("--out", "x"), ("--data", "census"), ("--recipe", "default")):
        message = wrong(capsys, "--resume", path, "--steps", "40", flag, value)
        assert f"argument {flag}: a run that is resumed keeps its own" in message
    assert "argument --resume: " in wrong(capsys, "--resume", tmp_path / "nowhere")
    for checkpoint in (path / "checkpoints").iterdir():
        checkpoint.write_bytes(b"damaged")
    assert "no checkpoint can be read" in wrong(capsys, "--resume", path, "--steps", "40")


def test_the_summary_of_the_first_part_goes_when_the_second_begins(
    word_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    assert main([*SMALL, "--data", str(word_file), "--out", str(path)]) == 0

    def killed(self: Trainer, directory: RunDirectory) -> TrainResult:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "run", killed)
    assert main(["--resume", str(path), "--steps", "40"]) == 130
    assert capsys.readouterr().err == "python -m namegen_ext.train: interrupted\n"
    assert not (path / "summary.json").exists()


# ---- what goes wrong ---------------------------------------------------------------------------------------


def test_a_recipe_without_a_name_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    message = wrong(capsys, "--recipe")
    assert "argument --recipe: got no name, expected one of " in message
    assert all(name in message for name in RECIPES)


# The flags that make each model small.
MODELS_IN_SMALL: dict[str, list[str]] = {
    "bigram": ["--steps", "20"],
    "bigram from counts": ["--init", "counts", "--steps", "0"],
    "ngram": ["--block-size", "2"],
    "mlp": SMALL,
    "wavenet": [*SMALL, "--block-size", "6"],
    "gpt": ["--embedding-dim", "8", "--num-heads", "2", "--num-layers", "1", "--steps", "10"],
    "tied gpt": ["--embedding-dim", "8", "--block-size", "4", "--tied", "--dropout", "0.1", "--steps", "10"],
}


@pytest.mark.parametrize("model", MODELS_IN_SMALL)
def test_every_model_trains_and_is_loaded_again(model: str, word_file: Path, tmp_path: Path) -> None:
    name = model.split(" from ")[0].split()[-1]
    path = tmp_path / "run"
    flags = ["--model", name, *MODELS_IN_SMALL[model], "--data", str(word_file), "--out", str(path)]
    assert main([*flags, "--fused", "--samples", "5"]) == 0
    summary = summary_of(path)
    assert summary["model"] == name
    assert len(summary["samples"]) == 5
    generator = Generator.from_run(path)
    assert generator.config.options.model == name
    assert json.loads((path / "config.json").read_text())["model"] == {"name": name, **generator.model.config}
    # The same float32 arithmetic on other batch shapes and on stock layers: 1e-5 is some 50 roundings.
    assert generator.nll(generator.splits.dev) == pytest.approx(summary["dev_loss"], abs=1e-5)
    assert generator.sample(5, seed=generator.config.options.seed) == summary["samples"]


@pytest.mark.parametrize("fused", ["off", "step"])
@pytest.mark.parametrize("name", ["wavenet", "gpt"])
def test_every_model_is_resumed_exactly(name: str, fused: str, word_file: Path, tmp_path: Path) -> None:
    small = [
        f"--fused={fused}",
        "--embedding-dim",
        "8",
        "--schedule",
        "constant",
        "--data",
        str(word_file),
        "--samples",
        "2",
    ]
    flags = ["--model", name, *small]
    assert main([*flags, "--steps", "10", "--out", str(tmp_path / "parted")]) == 0
    assert main(["--resume", str(tmp_path / "parted"), "--steps", "15"]) == 0
    assert main([*flags, "--steps", "15", "--out", str(tmp_path / "whole")]) == 0
    parted, whole = ((tmp_path / run / "model.safetensors").read_bytes() for run in ("parted", "whole"))
    assert parted == whole


def test_cuda_without_cuda(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "argument --device: got 'cuda', but " in wrong(capsys, "--device", "cuda")


def test_a_directory_that_holds_a_run_is_not_overwritten(
    word_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    assert main([*SMALL, "--data", str(word_file), "--out", str(path)]) == 0
    capsys.readouterr()
    before = {file.name: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert f"argument --out: {path}: already holds a run" in wrong(
        capsys, *SMALL, "--data", word_file, "--out", path
    )
    assert {file.name: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_a_diverging_run_says_so_and_what_to_try(
    word_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    arguments = [*SMALL, "--data", str(word_file), "--out", str(path), "--no-batch-norm", "--init=plain"]
    assert main([*arguments, "--learning-rate", "1e38"]) == 1
    errors = capsys.readouterr().err
    assert re.fullmatch(
        r"python -m namegen_ext\.train: error: training diverged: [^\n]* step \d+[^\n]*;"
        r" try a --learning-rate below 1e\+38 or --init kaiming; [^\n]* holds no model[^\n]*\n",
        errors,
    ), errors
    assert not (path / "summary.json").exists()


def test_a_diverging_run_names_the_model_it_keeps(
    word_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    # Half-way, the rate rises to where the next steps overflow.
    arguments = [
        *SMALL,
        "--data",
        str(word_file),
        "--out",
        str(path),
        "--no-batch-norm",
        "--eval-every",
        "10",
    ]
    assert main([*arguments, "--schedule", "two-step", "--final-learning-rate", "1e38"]) == 1
    assert f"{path} keeps the model of step 10" in capsys.readouterr().err
    assert load_run(path).step == 10


def test_no_space_is_one_line(
    word_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(file_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "sync", no_space)
    assert main([*SMALL, "--data", str(word_file), "--out", str(tmp_path / "run")]) == 1
    assert re.fullmatch(r"[^\n]*cannot be written: No space left on device\n", capsys.readouterr().err)


def test_a_list_that_the_steps_do_not_see_all_of_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--hidden-size", "4", "--embedding-dim", "2", "--samples", "0"]
    assert main([*small, "--steps", "100", "--out", str(tmp_path / "few")]) == 0
    # 3,200 draws with replacement among the 28,876 examples of the census list see 10.5% of them.
    assert "100 steps of 32 see 10% of the examples of this list" in capsys.readouterr().out
    assert main([*small, "--steps", "50", "--batch-size", "700", "--out", str(tmp_path / "all")]) == 0
    assert "of the examples of this list" not in capsys.readouterr().out
