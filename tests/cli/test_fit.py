"""``namegen fit``: from a list to a run directory, and what is told of it."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from namegen_ext import load
from namegen_ext.cli.fit import main
from namegen_ext.cli.main import main as namegen
from namegen_ext.train import main as train


@pytest.fixture(scope="module")
def greek_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names in letters that pre-training does not know: quickly searched."""
    draw = random.Random(1)
    names = {
        "".join(draw.choice("βδκλμ") + draw.choice("αεο") for _ in range(draw.randint(2, 4)))
        for _ in range(160)
    }
    path = tmp_path_factory.mktemp("fit") / "greek.txt"
    path.write_text("\n".join(sorted(names)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run_dir(greek_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "run"
    assert namegen(["fit", str(greek_file), "--out", str(path), "--budget", "30", "--seed", "2"]) == 0
    return path


def test_a_run_that_names_are_drawn_from(run_dir: Path, greek_file: Path) -> None:
    assert {path.name for path in run_dir.iterdir()} - {".lock"} == {
        "config.json",
        "model.safetensors",
        "summary.json",
        "words.txt",
    }
    generator = load(run_dir)
    assert len(generator.sample(30, seed=1)) == 30
    assert generator.config.options.refit
    assert generator.config.options.budget == 30
    assert generator._model is None, "torch was not needed"


def test_the_summary(run_dir: Path) -> None:
    summary = json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))
    assert summary["model"] == "mixture"
    assert summary["recipe"] == "best"
    assert len(summary["samples"]) == 20
    search = summary["search"]
    assert [trial["label"] for trial in search["trials"]] == ["counts, up to 6", "wavenet"]
    assert search["held_out_loss"] <= min(trial["loss"] for trial in search["trials"])
    assert search["refit"] is True
    assert search["cross_fitted"] is True
    ladder = search["trials"][1]["ladder"]
    assert [rung["steps"] for rung in ladder][:2] == [50, 100]
    assert min(rung["loss_with_counts"] for rung in ladder) <= search["trials"][1]["loss_with_counts"]
    assert 0 < summary["test_loss"] < 2.2
    assert summary["steps"] in (0, *[trial["steps"] for trial in search["trials"]])


def test_what_is_told(greek_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(greek_file), "--out", str(tmp_path / "run"), "--budget", "20", "--no-refit"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("greek.txt: 1")
    assert lines[1].split() == ["model", "steps", "alone", "with", "counts", "weight", "seconds", "why"]
    assert any(line.startswith("held out: each name in turn") for line in lines)
    (losses,) = [line for line in lines if line.startswith("train loss")]
    assert "before all names were learnt" not in losses
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert f"test {summary['test_loss']:.4f}" in losses
    generator = load(tmp_path / "run")
    assert generator.nll(generator.splits.test) == pytest.approx(summary["test_loss"], abs=1e-6)


def test_train_finds_the_same_mixture(run_dir: Path, greek_file: Path, tmp_path: Path) -> None:
    flags = ["--recipe", "best", "--refit", "--budget", "30", "--seed", "2", "--data", str(greek_file)]
    assert train([*flags, "--out", str(tmp_path / "run"), "--samples", "3"]) == 0
    assert load(tmp_path / "run").sample(50, seed=4) == load(run_dir).sample(50, seed=4)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (
        run_dir / "model.safetensors"
    ).read_bytes()


def test_a_mixture_is_not_resumed(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        train(["--resume", str(run_dir)])
    assert caught.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "argument --resume:" in line
    assert "holds a mixture, which is whole once it is written: fit anew" in line


def test_counts_and_case_of_a_table(tmp_path: Path) -> None:
    draw = random.Random(3)
    rows = {"".join(draw.choices("ΒΔΚΛαεο", k=draw.randint(3, 6))): draw.randint(0, 40) for _ in range(90)}
    table = tmp_path / "table.csv"
    table.write_text("name,count\n" + "\n".join(f"{name},{count}" for name, count in rows.items()))
    arguments = [str(table), "--count-column", "count", "--case", "title", "--out", str(tmp_path / "run")]
    assert main([*arguments, "--budget", "20"]) == 0
    names = load(tmp_path / "run").sample(20, seed=1)
    assert all(name == name.title() for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: LIST"),
        (["absent.txt"], "argument LIST: absent.txt: there is no such file"),
        (["census", "--budget", "-1"], "argument --budget: got '-1', expected a number from 0"),
        (["census", "--budget", "soon"], "argument --budget: got 'soon'"),
        (["census", "--steps", "5"], "unrecognized arguments: --steps"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--hidden-size", "9"],
            "argument --hidden-size: got 9, which changes nothing here, expected another model",
        ),
        (["--steps", "9"], "argument --steps: got 9, which changes nothing here, expected another model"),
        (
            ["--patience", "3"],
            "argument --patience: got 3, which changes nothing here, expected another model",
        ),
        (["--device", "cuda"], "argument --device: got 'cuda', but a mixture is searched for on the CPU"),
        (["--fused", "layers"], "argument --fused: got 'layers', but a mixture's networks are trained by"),
        (["--split", "all"], "argument --split: got 'all', expected '80-10-10'"),
    ],
)
def test_what_a_mixture_does_not_take(
    arguments: list[str], message: str, greek_file: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    with pytest.raises(SystemExit) as caught:
        train(["--model", "mixture", "--data", str(greek_file), *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_budget_is_of_mixtures_alone(
    greek_file: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    with pytest.raises(SystemExit):
        train(["--data", str(greek_file), "--budget", "5"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert "argument --budget: got 5.0, which changes nothing here, expected --model mixture with it" in line


@pytest.mark.parametrize(
    ("command", "argument"),
    [(["fit", "few.txt"], "LIST"), (["train", "--model", "mixture", "--data", "few.txt"], "--data")],
)
def test_too_few_names_leave_nothing_behind(
    command: list[str], argument: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "few.txt").write_text("anna\nben\n")
    with pytest.raises(SystemExit) as caught:
        namegen([*command, "--out", "run"])
    assert caught.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {argument}: expected at least 6 names, as some are held out" in line
    assert [path.name for path in folder.iterdir()] == ["few.txt"]


def test_a_directory_that_is_not_empty(
    run_dir: Path, greek_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(greek_file), "--out", str(run_dir)])
    assert caught.value.code == 2
    assert "argument --out:" in capsys.readouterr().err.splitlines()[-1]


def test_a_killed_search_goes_on_and_finds_the_same(run_dir: Path, greek_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = ["--out", str(out), "--budget", "30", "--seed", "2"]
    process = subprocess.Popen([sys.executable, "-m", "namegen_ext.cli", "fit", str(greek_file), *flags])
    end = time.monotonic() + 120
    while (
        process.poll() is None and len(list(out.glob("search/*.safetensors"))) < 3 and time.monotonic() < end
    ):
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was killed before its end"
    assert not (out / "config.json").exists()
    done = subprocess.run(
        [sys.executable, "-m", "namegen_ext.cli", "fit", str(greek_file), *flags],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(
        r"^\d+ trainings were taken from a search that was interrupted$", done.stdout, re.MULTILINE
    )
    assert (out / "model.safetensors").read_bytes() == (run_dir / "model.safetensors").read_bytes()
    assert not (out / "search").exists()
    with pytest.raises(SystemExit):  # a whole run is not overwritten
        main([str(greek_file), "--out", str(out)])
