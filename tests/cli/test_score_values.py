"""Every flag of ``python -m namegen_ext.score``: what it takes and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from flag_values import (
    Values,
    check_refused,
    check_taken,
    flags_of,
    names,
    output_files,
    paths,
    switch,
    told_as_wrong,
)

from namegen_ext.fit_names import fit
from namegen_ext.score import _build_parser, main

NAMES = [a + b + c for a in "bdkl" for b in ("a", "eo") for c in ("na", "ris", "tta")]

# A flag that is added needs its values here.
VALUES: dict[str, Values] = {
    "RUN_DIR": paths(),
    "FILE": Values({"-": "-", "some/where": "some/where"}, []),
    "--format": names("lines", "csv", "json", "jsonl"),
    "--sort": switch(),
    "--nearest": switch(),
    "--category": Values({"elf": "elf", "elf:0.5,orc:0.5": "elf:0.5,orc:0.5"}, []),
    "--classify": switch(),
    "-o": output_files(),
}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("score") / "run"
    fit(NAMES, steps=2, hidden_size=4, embedding_dim=2, block_size=2).save(path)
    return path


def wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    return told_as_wrong(main, capsys, arguments, "score")


def test_every_flag_is_tried() -> None:
    assert flags_of(_build_parser("score")) == VALUES.keys()


@pytest.mark.parametrize("flag", ["--format", "--category"])
def test_what_a_flag_takes(flag: str) -> None:
    check_taken(_build_parser("score"), flag, VALUES[flag], "run")


@pytest.mark.parametrize("flag", ["--format", "--sort", "--nearest", "--classify"])
def test_what_a_flag_refuses(
    flag: str, run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    check_refused(main, capsys, "score", flag, VALUES[flag], run_dir, folder=folder)


@pytest.mark.parametrize(
    "arguments", [["run", "names"], ["run", "--sort", "names"], ["--sort", "run", "names"]]
)
def test_the_file_stands_anywhere(arguments: list[str]) -> None:
    parsed = _build_parser("score").parse_args(arguments)
    assert (parsed.run_dir, parsed.file) == (Path("run"), "names")
    assert _build_parser("score").parse_args(["run"]).file == "-"


def test_a_file_that_cannot_be_written(
    run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    for text in VALUES["-o"].refused:
        line = wrong(capsys, run_dir, f"-o{text}") if text else wrong(capsys, run_dir, "-o", "")
        assert "argument -o: got " in line
        assert "expected a " in line
    assert list(folder.iterdir()) == []


def test_categories_of_a_list_without(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = wrong(capsys, run_dir, "-", "--category", "elf")
    assert "--category is for a list with categories, but this run's list has none" in line
    line = wrong(capsys, run_dir, "-", "--classify")
    assert "--classify is for a list with categories, but this run's list has none" in line


def test_files_that_cannot_be_read(run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert "argument RUN_DIR: nowhere: there is no such directory" in wrong(capsys, "nowhere", "names")
    assert "argument FILE: nothing: there is no such file" in wrong(capsys, run_dir, "nothing")
    assert "argument FILE: got '', expected a path or -" in wrong(capsys, run_dir, "")
    assert "argument FILE: got 'a\\x00b', expected a path or -" in wrong(capsys, run_dir, "a\0b")
    (folder / "latin").write_bytes(b"anna\nZo\xeb\n")
    assert "argument FILE: latin: line 2: is not UTF-8: byte 0xeb" in wrong(capsys, run_dir, "latin")
    (folder / "control").write_bytes(b"an\x07na\n")
    assert "argument FILE: control: line 1: " in wrong(capsys, run_dir, "control")
    assert "the following arguments are required: RUN_DIR" in wrong(capsys)
    assert "unrecognized arguments: third" in wrong(capsys, run_dir, "latin", "third")
