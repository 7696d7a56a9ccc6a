"""Every flag of ``python -m namegen_ext.reproduce``: what it takes and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flag_values import (
    Values,
    check_refused,
    check_taken,
    flags_of,
    names,
    paths,
    switch,
    told_as_wrong,
    whole,
)

from namegen_ext.reproduce import _build_parser, main
from namegen_ext.reproduction import ROWS

# A flag that is added needs its values here.
VALUES: dict[str, Values] = {
    "--data": Values({"names.txt": "names.txt"}, ["", "nowhere.txt", "/"]),
    "--only": names(*ROWS),
    "--quick": switch(),
    "--fused": names("auto", "layers", "step"),
    "--json": paths("nowhere/file", "/"),
    "--markdown": paths("nowhere/file", "/"),
    "--seed": whole(0, 2**64 - 1),
    "--threads": whole(1, 1024),
}


def wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    return told_as_wrong(main, capsys, arguments, "reproduce")


def test_every_flag_is_tried() -> None:
    assert flags_of(_build_parser("reproduce")) == VALUES.keys()


@pytest.mark.parametrize("flag", sorted(VALUES.keys() - {"--only"}))
def test_what_a_flag_takes(flag: str) -> None:
    check_taken(_build_parser("reproduce"), flag, VALUES[flag])


@pytest.mark.parametrize("flag", VALUES)
def test_what_a_flag_refuses(flag: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    check_refused(main, capsys, "reproduce", flag, VALUES[flag], folder=folder)


def test_rows_that_there_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert _build_parser("reproduce").parse_args(["--only", *ROWS]).only == list(ROWS)
    line = wrong(capsys, "--only", "bigram-counts", "lecture-rnn")
    assert "argument --only: got 'lecture-rnn', expected one of bigram-counts" in line
    assert "argument --only: expected at least one argument" in wrong(capsys, "--only")


def test_a_slow_row_beside_quick(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    slow = next(name for name, row in ROWS.items() if not row.quick)
    line = wrong(capsys, "--quick", "--only", "bigram-counts", slow)
    assert f"argument --only: got '{slow}', expected some of bigram-counts" in line
    assert line.rstrip().endswith("with --quick")


def test_two_results_in_one_file(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    line = wrong(capsys, "--json", "file", "--markdown", "./file")
    assert "argument --markdown: got 'file', expected another file than --json" in line
    assert list(folder.iterdir()) == []


def test_a_directory_that_cannot_be_written_to(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs the tests as root may write into every directory.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for flag in ("--json", "--markdown"):
        line = wrong(capsys, flag, "file")
        assert f"argument {flag}: got 'file', whose directory cannot be written to" in line


def test_words_with_too_many_letters_for_a_row(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    letters = [chr(0x4E00 + number) for number in range(8200)]
    (folder / "words.txt").write_text("\n".join(letters), encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["--data", "words.txt", "--only", "bigram-counts"])
    assert caught.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert (
        "argument --data: got words of 8,200 different characters, expected fewer with --model bigram: its table "
        in line
    )
