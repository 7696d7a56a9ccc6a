"""Every flag of ``python -m namegen_ext.train``: what it takes, what it refuses, and what goes with what."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from flag_values import (
    Values,
    check_refused,
    check_taken,
    flags_of,
    names,
    numbers,
    paths,
    switch,
    told_as_wrong,
    whole,
)

from namegen_ext.cli.train_flags import build_parser
from namegen_ext.options.checkpoint_interval import CheckpointInterval
from namegen_ext.options.effects import check_effects
from namegen_ext.train import main
from namegen_ext.training import RECIPES, load_run
from namegen_ext.training.feasibility import check_feasible

SEEDS = whole(0, 2**64 - 1)
SHARES = numbers(0.0, 1.0, without_high=True)
RATES = numbers(0.0, 3e38)

# A flag that is added needs its values here.
VALUES: dict[str, Values] = {
    "--recipe": names(*RECIPES),
    "--data": Values({"census": ["census"]}, ["", "nowhere.txt", "Census", "/"]),
    "--column": Values({"name": "name", "2": "2"}, ["", " ", "a\nb", "\t"]),
    "--count-column": Values({"n times": "n times", "3": "3"}, ["", " ", "a\nb", "\t"]),
    "--category-column": Values({"kind": "kind", "3": "3"}, ["", " ", "a\nb", "\t"]),
    "--comment": Values({"#": "#", "//": "//"}, ["", " ", " #", "# ", "\t", "#\n", "#" * 21]),
    "--case": names("keep", "lower", "title"),
    "--normalize": names("none", "nfc", "nfkc"),
    "--rare": whole(0, 10**9),
    "--fused": names("auto", "layers", "step"),
    "--device": names("cpu", "cuda", "auto"),
    "--threads": whole(1, 1024),
    "--out": paths(),
    "--resume": paths("nowhere"),
    "--seed": SEEDS,
    "--split-seed": SEEDS,
    "--split": names("80-10-10", "makemore", "all"),
    "--log-every": whole(1, 10**9),
    "--eval-every": whole(0, 10**9),
    "--checkpoint-every": Values(
        {
            "500": CheckpointInterval(steps=500),
            "30s": CheckpointInterval(seconds=30.0),
            "0": CheckpointInterval(),
        },
        [
            "",
            "-1",
            "30 s",
            "30m",
            "s",
            "1.5",
            "-5s",
            "0s",
            "nans",
            "infs",
            "1e3s",
            "1_0",
            "٣",
            " 5",
            "9" * 16,
        ],
    ),
    "--keep": names("best", "last"),
    "--patience": whole(0, 10**9),
    "--record-updates": switch(),
    "--tensorboard": switch(),
    "--samples": whole(0, 10_000),
    "--model": names("bigram", "ngram", "mlp", "wavenet", "gpt"),
    "--block-size": whole(1, 1024),
    "--embedding-dim": whole(1, 65_536),
    "--hidden-size": whole(1, 2**20),
    "--num-hidden-layers": whole(1, 1000),
    "--batch-norm": switch(),
    "--batch-norm-variance": names("biased", "unbiased"),
    "--hidden-bias": switch(),
    "--factors": Values(
        {"auto": "auto", "2x2x2": "2x2x2", "8": "8"},
        ["", "2x2", "2,2,2", "2x2x2x", "x8", "2 x4", "٢x٤", "0x8", "1x8", "-2x-4", "8.0", "1_0", "9" * 5000],
    ),
    "--num-layers": whole(1, 1000),
    "--num-heads": whole(1, 1024),
    "--dropout": SHARES,
    "--tied": switch(),
    "--norm": names("layer", "rms"),
    "--activation": names("gelu", "gelu-tanh", "relu"),
    "--biases": switch(),
    "--final-norm": switch(),
    "--embedding-norm": switch(),
    "--order": names("replacement", "shuffled", "in-order"),
    "--warmup": whole(0, 1_000_000_000),
    "--clip-grad-norm": numbers(0.0, 3e38),
    "--ema": SHARES,
    "--init": names("plain", "small-output", "scaled-hidden", "kaiming", "unsaturated", "counts", "microgpt"),
    "--estimator": names("add-k", "witten-bell", "kneser-ney"),
    "--smoothing": RATES,
    "--budget": numbers(0.0, 1e6),
    "--refit": switch(),
    "--steps": whole(0, 10**9),
    "--batch-size": whole(1, 2**20),
    "--full-batch": switch(),
    "--optimizer": names("sgd", "adamw"),
    "--learning-rate": numbers(0.0, 3e38, without_low=True),
    "--final-learning-rate": RATES,
    "--schedule": names("constant", "two-step", "linear", "cosine"),
    "--switch-at": numbers(0.0, 1.0),
    "--momentum": SHARES,
    "--nesterov": switch(),
    "--weight-decay": RATES,
    "--beta1": SHARES,
    "--beta2": SHARES,
}

# The flags that must be given with a flag, so that its value is looked at.
BESIDE = {"--factors": ["--model", "wavenet"]}


def wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    return told_as_wrong(main, capsys, arguments, "train")


def test_every_flag_is_tried() -> None:
    assert flags_of(build_parser("train")) == VALUES.keys()


@pytest.mark.parametrize("flag", VALUES)
def test_what_a_flag_takes(flag: str) -> None:
    check_taken(build_parser("train"), flag, VALUES[flag])


@pytest.mark.parametrize("flag", VALUES)
def test_what_a_flag_refuses(flag: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    check_refused(main, capsys, "train", flag, VALUES[flag], *BESIDE.get(flag, []), folder=folder)


# --fused alone means auto.
@pytest.mark.parametrize("flag", [flag for flag in VALUES if VALUES[flag].taken and flag != "--fused"])
def test_a_flag_without_its_value(flag: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    line = wrong(capsys, flag)
    assert f"argument {flag}: " in line
    assert re.search("expected (at least )?one ", line)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "flag", ["--learning-rat", "--learning_rate", "-steps", "--Steps", "steps", "", "--a\nb"]
)
def test_a_flag_that_there_is_not(flag: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    line = wrong(capsys, flag, "1")
    assert flag.replace("\n", "\\n") in line
    assert list(folder.iterdir()) == []


# ---- the ends of the ranges, trained -----------------------------------------------------------------------

SMALL = ["--hidden-size", "4", "--embedding-dim", "2", "--steps", "3", "--samples", "0"]
ADAMW = [*SMALL, "--optimizer", "adamw"]
COUNTED = ["--model", "ngram", "--block-size", "1", "--samples", "0"]
TRAINED: dict[str, list[str]] = {
    "--learning-rate": SMALL,
    "--final-learning-rate": SMALL,
    "--switch-at": [*SMALL, "--schedule", "two-step"],
    "--clip-grad-norm": SMALL,
    "--ema": SMALL,
    "--momentum": SMALL,
    "--weight-decay": SMALL,
    "--beta1": ADAMW,
    "--beta2": ADAMW,
    "--dropout": [
        "--model",
        "gpt",
        "--embedding-dim",
        "4",
        "--steps",
        "3",
        "--num-layers",
        "1",
        "--samples",
        "0",
    ],
    "--smoothing": COUNTED,
    "--seed": SMALL,
    "--split-seed": SMALL,
}


@pytest.mark.parametrize("fused", ["stock", "fused"])
@pytest.mark.parametrize("flag", TRAINED)
def test_the_ends_of_a_range_train_or_diverge(
    flag: str, fused: str, word_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, text in enumerate(VALUES[flag].taken):
        backend = ["--fused"] if fused == "fused" else []
        out = tmp_path / f"run{number}"
        status = main(
            [*TRAINED[flag], *backend, f"{flag}={text}", "--data", str(word_file), "--out", str(out)]
        )
        errors = capsys.readouterr().err
        if status == 0:
            assert errors == ""
            load_run(out)
        else:  # only the largest learning rate and weight decay are too much to train with
            assert flag.endswith(("rate", "decay"))
            assert status == 1
            assert errors.count("\n") == 1
            assert "training diverged: " in errors


def test_a_thousand_layers_are_no_recursion(word_file: Path, tmp_path: Path) -> None:
    flags = ["--num-hidden-layers", "1000", "--hidden-size", "1", "--embedding-dim", "1", "--steps", "2"]
    out = tmp_path / "run"
    assert main([*flags, "--fused", "--samples", "2", "--data", str(word_file), "--out", str(out)]) == 0


# ---- values that do not go together ------------------------------------------------------------------------

WAVENET, GPT, BIGRAM, NGRAM = (["--model", name] for name in ("wavenet", "gpt", "bigram", "ngram"))


@pytest.mark.parametrize(
    ("arguments", "flag", "expected"),
    [
        # sizes that do not fit each other
        ([*WAVENET, "--factors", "2x2"], "--factors", "whose product is the block-size 8"),
        (
            [*WAVENET, "--block-size", "7", "--factors", "2x2x2"],
            "--factors",
            "whose product is the block-size 7",
        ),
        ([*GPT, "--num-heads", "5"], "--num-heads", "a divisor of the embedding-dim 64"),
        ([*GPT, "--embedding-dim", "6"], "--num-heads", "a divisor of the embedding-dim 6"),
        ([*BIGRAM, "--block-size", "2"], "--block-size", "got 2, expected 1 with --model bigram"),
        (["--batch-size", "1"], "--batch-size", "got 1, expected at least 2"),
        ([*BIGRAM, "--steps", "0"], "--steps", "got 0, expected a whole number from 1"),
        (["--steps", "0"], "--steps", "got 0, expected a whole number from 1"),
        (["--init", "counts"], "--init", "expected --model bigram or ngram with it"),
        ([*GPT, "--init", "counts"], "--init", "expected --model bigram or ngram with it"),
        (
            [*GPT, "--dropout", "0.1", "--fused", "step"],
            "--fused",
            "got 'step', but the step engine does not cover this model: its dropout is 0.1",
        ),
        # what the model has not
        (
            [*BIGRAM, "--embedding-dim", "4"],
            "--embedding-dim",
            "got 4, .* expected --model mlp or wavenet or gpt",
        ),
        ([*NGRAM, "--hidden-size", "4"], "--hidden-size", "got 4, .* expected --model mlp or wavenet"),
        ([*GPT, "--hidden-size", "4"], "--hidden-size", "got 4, .* expected --model mlp or wavenet"),
        ([*WAVENET, "--num-hidden-layers", "2"], "--num-hidden-layers", "got 2, .* expected --model mlp"),
        ([*GPT, "--batch-norm"], "--batch-norm", "got True, .* expected --model mlp or wavenet"),
        ([*GPT, "--hidden-bias"], "--hidden-bias", "got True, .* expected --model mlp or wavenet"),
        (
            [*GPT, "--batch-norm-variance", "biased"],
            "--batch-norm-variance",
            "expected --model mlp or wavenet",
        ),
        ([*GPT, "--init", "kaiming"], "--init", "got kaiming, .* expected --model bigram or ngram or mlp"),
        (["--factors", "3"], "--factors", "got 3, .* expected --model wavenet"),
        (["--num-layers", "2"], "--num-layers", "got 2, .* expected --model gpt"),
        (["--num-heads", "2"], "--num-heads", "got 2, .* expected --model gpt"),
        (["--dropout", "0.5"], "--dropout", "got 0.5, .* expected --model gpt"),
        (["--tied"], "--tied", "got True, .* expected --model gpt"),
        (["--norm", "rms"], "--norm", "got rms, .* expected --model gpt"),
        (["--activation", "gelu"], "--activation", "got gelu, .* expected --model gpt"),
        (["--init", "microgpt"], "--init", "got 'microgpt', expected --model gpt"),
        (["--warmup", "5", "--steps", "5"], "--warmup", "got 5, expected fewer than the 5 steps"),
        ([*NGRAM, "--ema", "0.9"], "--ema", "expected --steps above 0"),
        ([*NGRAM, "--clip-grad-norm", "1"], "--clip-grad-norm", "expected --steps above 0"),
        (["--model", "bigram", "--order", "shuffled"], "--order", "expected --no-full-batch"),
        (["--recipe", "devlog-7-hierarchical", "--num-heads", "2"], "--num-heads", "expected --model gpt"),
        # what another flag makes useless
        (["--estimator", "add-k"], "--estimator", "expected --init counts"),
        (["--smoothing", "1"], "--smoothing", "expected --init counts"),
        (["--recipe", "witten-bell", "--smoothing", "1"], "--smoothing", "expected --estimator add-k"),
        ([*NGRAM, "--batch-size", "8"], "--batch-size", "expected --steps above 0"),
        ([*NGRAM, "--learning-rate", "1"], "--learning-rate", "expected --steps above 0"),
        ([*NGRAM, "--optimizer", "sgd"], "--optimizer", "expected --steps above 0"),
        ([*NGRAM, "--schedule", "cosine"], "--schedule", "expected --steps above 0"),
        ([*NGRAM, "--weight-decay", "1"], "--weight-decay", "expected --steps above 0"),
        ([*NGRAM, "--full-batch"], "--full-batch", "expected --steps above 0"),
        (
            ["--no-batch-norm", "--batch-norm-variance", "biased"],
            "--batch-norm-variance",
            "expected --batch-norm",
        ),
        (["--full-batch", "--batch-size", "32"], "--batch-size", "expected --no-full-batch"),
        ([*BIGRAM, "--batch-size", "32"], "--batch-size", "expected --no-full-batch"),
        (
            ["--schedule", "constant", "--final-learning-rate", "0"],
            "--final-learning-rate",
            "cosine, linear or two-step",
        ),
        (["--switch-at", "0.5"], "--switch-at", "expected --schedule two-step"),
        (["--optimizer", "adamw", "--momentum", "0.9"], "--momentum", "expected --optimizer sgd"),
        (["--optimizer", "adamw", "--momentum", "0"], "--momentum", "expected --optimizer sgd"),
        (["--nesterov"], "--nesterov", "expected --optimizer sgd and a momentum above 0"),
        (
            ["--optimizer", "adamw", "--nesterov"],
            "--nesterov",
            "expected --optimizer sgd and a momentum above 0",
        ),
        (["--beta1", "0.9"], "--beta1", "expected --optimizer adamw"),
        (["--beta2", "0.9"], "--beta2", "expected --optimizer adamw"),
        (["--split", "all", "--split-seed", "1"], "--split-seed", "expected another --split than all"),
        (["--split", "all", "--patience", "1"], "--patience", "expected --split 80-10-10"),
        (["--split", "makemore", "--keep", "best"], "--keep", "expected --split 80-10-10"),
        (["--eval-every", "0", "--patience", "2"], "--patience", "got 2, .* expected --eval-every above 0"),
        ([*NGRAM, "--patience", "2"], "--patience", "got 2, .* expected --steps above 0"),
    ],
)
def test_values_that_do_not_go_together(
    arguments: list[str], flag: str, expected: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    line = wrong(capsys, *arguments)
    assert f"argument {flag}: " in line
    assert re.search(expected, line), line
    assert list(folder.iterdir()) == []


def test_that_something_is_off_may_always_be_said(word_file: Path, tmp_path: Path) -> None:
    flags = ["--no-tied", "--no-batch-norm", "--no-hidden-bias", "--no-nesterov", "--no-full-batch"]
    arguments = ["--model", "ngram", "--block-size", "1", *flags, "--data", str(word_file)]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_free_of_contradictions(recipe: str) -> None:
    options = RECIPES[recipe].train_options({})
    check_effects(RECIPES[recipe].options, options)  # no recipe sets an option that has no effect
    check_feasible(["ann", "bob", "christopher"], options)


# ---- as a process ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--steps", "1_000"],
            "argument --steps: got '1_000', expected a whole number from 0 to 1,000,000,000",
        ),
        (["--steps", b"\xff\xfe"], "argument --steps: got '\\udcff\\udcfe', expected a whole number"),
    ],
)
def test_as_a_process(arguments: list[str | bytes], expected: str, folder: Path) -> None:
    command = [sys.executable, "-m", "namegen_ext.train", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    errors = done.stderr.decode()
    assert errors.startswith(f"python -m namegen_ext.train: error: {expected}")
    assert errors.count("\n") == 1
    assert list(folder.iterdir()) == []
