from __future__ import annotations

import json
from pathlib import Path

import pytest

import namegen_ext
from namegen_ext import export
from namegen_ext.cli.main import main

NAMES = ["anna", "ben", "cleo", "dan", "eva", "finn", "gail"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    namegen_ext.fit(NAMES, steps=5, hidden_size=8).save(folder)
    return folder


def test_the_file_is_written_and_named(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.json"
    assert main(["export", str(run_dir), "--to", "json", "-o", str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"{file}  ")
    assert json.loads(file.read_text(encoding="utf-8"))["list"]["names"] is not None
    assert main(["export", str(run_dir), "--to", "json", "-o", str(file), "--without-names"]) == 0
    assert json.loads(file.read_text(encoding="utf-8"))["list"]["names"] is None


def test_without_a_file_it_stands_in_the_run_directory(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([str(run_dir), "--to", "js"]) == 0
    written = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert written == [str(run_dir / "names.mjs"), str(run_dir / "names.d.mts")]
    assert namegen_ext.load(run_dir).sample(3, seed=1)  # the run is as it was


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "exe"], "argument --to: got 'exe', expected one of html, js, json, onnx, pt2"),
        ([], "the following arguments are required: --to"),
        (
            ["--to", "json", "-o", "no/such/folder/x"],
            "argument --out: got 'no/such/folder/x', whose directory",
        ),
    ],
)
def test_wrong_arguments_end_in_one_line(
    arguments: list[str], said: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = export.main([str(run_dir), *arguments])
    except SystemExit as stopped:
        status = int(str(stopped.code))
    error = capsys.readouterr().err
    assert status == 2
    assert said in error
    assert error.count("\n") == 1


def test_what_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        export.main([str(tmp_path / "nothing"), "--to", "html"])
    assert "argument RUN_DIR" in capsys.readouterr().err


def test_a_model_that_cannot_be_exported_so_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    namegen_ext.fit(NAMES, model="ngram", estimator="witten-bell").save(tmp_path / "run")
    assert export.main([str(tmp_path / "run"), "--to", "onnx"]) == 1
    assert "the model must be a network" in capsys.readouterr().err
