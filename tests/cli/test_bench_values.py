"""Every flag of ``python -m namegen_ext.bench`` and of the lessons: what it takes and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from flag_values import Values, check_refused, check_taken, flags_of, paths, switch, told_as_wrong, whole

from namegen_bench.bench_arguments import build_parser
from namegen_ext import lessons
from namegen_ext.bench import main

# A flag that is added needs its values here.
VALUES: dict[str, Values] = {
    "SUITE": Values({}, ["", "speed", "OPS", "ops "]),
    "--csv": paths("nowhere/file.csv", "/"),
    "--plot": paths("nowhere/file.png", "nowhere/pictures", "file.gif"),
    "--compare": paths("nowhere.csv", "/"),
    # These two need other flags. tests/namegen_bench/reporting/test_requested_report.py tests what else they refuse.
    "--from": paths(),
    "--page": paths(),
    "--threads": whole(1, 1024),
    "--peers": Values({"stock": frozenset()}, ["", ",", "tensorflow", "stock,tensorflow", "stock,"]),
    "--data": Values({"census": "census"}, ["", "nowhere.txt", "/"]),
    "--quick": switch(),
}


def wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    return told_as_wrong(main, capsys, arguments, "bench")


def test_every_flag_is_tried() -> None:
    assert flags_of(build_parser("bench")) == VALUES.keys()


@pytest.mark.parametrize("flag", sorted(VALUES.keys() - {"SUITE", "--peers"}))
def test_what_a_flag_takes_and_refuses(flag: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    check_taken(build_parser("bench"), flag, VALUES[flag])
    check_refused(main, capsys, "bench", flag, VALUES[flag], folder=folder)


def test_suites_and_peers_that_there_are_not(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    for text in VALUES["SUITE"].refused:
        assert f"argument SUITE: got '{text}', expected ops or train" in wrong(capsys, "ops", text)
    for text in VALUES["--peers"].refused:
        line = wrong(capsys, "--peers", text)
        assert f"argument --peers: got '{'tensorflow' if 'tensor' in text else ''}', expected some of" in line
    assert list(folder.iterdir()) == []


def test_data_that_no_suite_reads(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    line = wrong(capsys, "ops", "--data", "census")
    assert "argument --data: got 'census', expected the suite time-to-loss with it" in line


def test_two_results_in_one_file(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    line = wrong(capsys, "--csv", "file.png", "--plot", "./file.png")
    assert "argument --plot: got 'file.png', expected another file than --csv" in line
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("text", ["", "transformers", "ALL", "tensors ", "a\nb", "x" * 1000])
def test_a_lesson_that_there_is_not(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = told_as_wrong(lessons.main, capsys, ["tensors", text], "lessons")
    assert f"argument NAME: got {text!r}"[:40].rstrip("'") in line
    assert "expected one of tensors, autograd, " in line


def test_a_flag_of_the_lessons(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments: --quick" in told_as_wrong(lessons.main, capsys, ["--quick"], "lessons")
