"""Every flag of ``python -m namegen_ext.sample``: what it takes, what it refuses, and what the model refuses."""

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
    output_files,
    paths,
    switch,
    told_as_wrong,
    whole,
)

from namegen_ext.fit_names import fit
from namegen_ext.sample import _build_parser, main

NAMES = [a + b + c for a in "bdkl" for b in ("a", "eo") for c in ("na", "ris", "tta")]
SYMBOLS = len(set("".join(NAMES))) + 1  # with the end marker

# A flag that is added needs its values here.
VALUES: dict[str, Values] = {
    "RUN_DIR": paths(),
    "-n": whole(1, 10**12),
    "--temperature": numbers(0.0, 1e38, without_low=True),
    "--top-k": whole(1, 1_114_112),
    "--prefix": Values({"": "", "ba": "ba"}, []),
    "--min-length": whole(1, 1000),
    "--max-length": whole(1, 1000),
    "--suffix": Values({"": "", "na": "na"}, []),
    "--contains": Values({"": "", "ri": "ri"}, []),
    "--without": Values({"": "", "xyz": "xyz"}, []),
    "--match": Values({"": "", "b.*": "b.*"}, []),
    "--avoid": paths(),
    "--seed": whole(0, 2**64 - 1),
    "--novel": switch(),
    "--unique": switch(),
    "--max-similarity": numbers(0.0, 1.0),
    "--like": Values({"": "", "ba": "ba"}, []),
    "--within": whole(1, 3),
    "--category": Values({"elf": "elf", "elf:0.5,orc:0.5": "elf:0.5,orc:0.5", "all": "all"}, []),
    "--format": names("lines", "csv", "json", "jsonl"),
    "-o": output_files(),
}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "run"
    fit(NAMES, steps=2, hidden_size=4, embedding_dim=2, block_size=2).save(path)
    return path


def wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    return told_as_wrong(main, capsys, arguments, "sample")


def test_every_flag_is_tried() -> None:
    assert flags_of(_build_parser("sample")) == VALUES.keys()


@pytest.mark.parametrize("flag", sorted(VALUES.keys() - {"RUN_DIR", "-n", "-o"}))
def test_what_a_flag_takes(flag: str) -> None:
    check_taken(_build_parser("sample"), flag, VALUES[flag], "run")


def test_how_many_names() -> None:
    for text, expected in VALUES["-n"].taken.items():
        assert _build_parser("sample").parse_args(["run", "-n", text]).n == expected


@pytest.mark.parametrize("flag", sorted(VALUES.keys() - {"RUN_DIR", "-n", "-o"}))
def test_what_a_flag_refuses(
    flag: str, run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    check_refused(main, capsys, "sample", flag, VALUES[flag], run_dir, folder=folder)


def test_no_such_number_of_names(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in VALUES["-n"].refused:
        if text:  # "-n" alone takes the next argument
            line = wrong(capsys, run_dir, f"-n{text}")
            assert "argument -n: got " in line
            assert "expected a whole number from 1 to 1,000,000,000,000" in line
    assert "argument -n: expected one argument" in wrong(capsys, run_dir, "-n")


@pytest.mark.parametrize("text", VALUES["--temperature"].taken)
def test_the_ends_of_the_temperature_draw_names(
    text: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The likeliest letter after each other one never comes to an end.
    status = main([str(run_dir), "--temperature", text, "-n", "50", "--seed", "1"])
    output = capsys.readouterr()
    names = output.out.splitlines()
    if float(text) < 1:
        assert (status, names) == (1, [])
        assert "100,000 did not end within 64 letters" in output.err
    else:
        assert status == 0
        assert len(names) == 50
        assert len(set(names)) > 10


def test_a_top_k_above_the_symbols(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir), "--top-k", str(SYMBOLS), "-n", "2"]) == 0
    capsys.readouterr()
    line = wrong(capsys, run_dir, "--top-k", SYMBOLS + 1)
    assert f"--top-k must be an integer from 1 to {SYMBOLS} " in line
    assert line.rstrip().endswith(f"but got {SYMBOLS + 1}")


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("bX", "--prefix must be made of letters that the model knows .*, but got 'bX' with 'X'"),
        ("b.", r"--prefix must be made of letters .*, but got 'b\.' with '\.'"),
        ("Ba", "--prefix must be made of letters .*, but got 'Ba' with 'B'"),
        (" ", "--prefix must be made of letters .*, but got ' ' with ' '"),
        ("b\nd", r"--prefix must be made of letters .*, but got 'b\\nd' with '\\n'"),
        ("z" * 10_000, r"--prefix must be made of letters .*, but got 'zz+\.\.\.' with 'z'"),
        ("ba" * 32, r"--prefix must be shorter than .* \(64 letters\), but got 64 letters"),
    ],
)
def test_a_prefix_that_cannot_be(
    prefix: str, expected: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = wrong(capsys, run_dir, "--prefix", prefix)
    assert re.search(f"error: {expected}\n", line), line


def test_the_longest_prefix(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir), "--prefix", "b" * 63, "-n", "3"]) == 0
    assert all(len(name) in (63, 64) for name in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        (
            "--suffix",
            "aX",
            r"--suffix must be made of letters that the model knows \(.*\), but got 'aX' with 'X'",
        ),
        (
            "--contains",
            " ",
            "--contains must be made of letters that the model knows .*, but got ' ' with ' '",
        ),
        (
            "--match",
            "(",
            r"--match must be a regular expression, but got '\(': it is no regular expression: .*",
        ),
        (
            "--match",
            r"(a)\1",
            r"--match must be a regular expression, but got .*: it refers back to a group.*",
        ),
        ("--match", "(?=a).*", "--match must be a regular expression, but got .*: it looks ahead.*"),
        (
            "--match",
            "a" * 3000,
            "--match must be a regular expression, but got .*: it has 3,000 characters.*",
        ),
        ("--match", "", "no name of at most 64 letters can have match ''"),
        ("--match", "[0-9]+", r"no name of at most 64 letters can have match '\[0-9\]\+'"),
        ("--suffix", "a" * 65, "no name of at most 64 letters can have suffix 'aaa.*'"),
        ("--min-length", 65, "no name of at most 64 letters can have min-length 65"),
        (
            "--avoid",
            "nowhere",
            "--avoid must be the path of a UTF-8 file .*, but got 'nowhere': No such file.*",
        ),
        ("--avoid", ".", "--avoid must be the path of a UTF-8 file .*, but got '.': Is a directory"),
    ],
)
def test_a_constraint_that_cannot_be(
    flag: str, value: object, expected: str, run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    line = wrong(capsys, run_dir, flag, value)
    assert re.search(f"error: {expected}\n", line), line


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "is empty"), (b"\n \n", "is empty"), (b"\xff", "it is not UTF-8")]
)
def test_a_file_of_texts_to_avoid_that_holds_none(
    content: bytes, what: str, run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "texts").write_bytes(content)
    line = wrong(capsys, run_dir, "--avoid", "texts")
    assert re.search(f"error: --avoid must be the path of a UTF-8 file .*'texts'.*{what}\n", line), line


def test_constraints_that_no_name_meets_together(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = wrong(capsys, run_dir, "--suffix", "na", "--match", ".*s", "--max-length", 7, "--prefix", "b")
    expected = (
        "no name of at most 7 letters can have max-length 7 and suffix 'na' and match '.*s' and prefix 'b'"
    )
    assert line.rstrip().endswith(expected), line


def test_all_constraints_together(run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "texts").write_text("NN\neoe\n")
    flags = "-n 40 --seed 3 --prefix b --suffix na --contains ri --without lk --min-length 6 --max-length 9"
    arguments = [str(run_dir), *flags.split(), "--match", "b[a-z]*a", "--avoid", "texts"]
    assert main(arguments) == 0
    output = capsys.readouterr()
    names = output.out.splitlines()
    assert len(names) == 40
    assert all(re.fullmatch(r"b(?=.*ri)[^lk]*na", name) and 6 <= len(name) <= 9 for name in names)
    assert not any("nn" in name or "eoe" in name for name in names)
    assert re.search(r"; \S+ of the model's names with the prefix meet the constraints", output.err)


def test_a_run_directory_that_is_none(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert "the following arguments are required: RUN_DIR" in wrong(capsys)
    assert "argument RUN_DIR: got '', expected a path" in wrong(capsys, "")
    assert "argument RUN_DIR: nowhere: there is no such directory" in wrong(capsys, "nowhere")
    assert f"argument RUN_DIR: {folder}: is not a run directory" in wrong(capsys, folder)
    (folder / "file").write_text("no directory")
    assert "argument RUN_DIR: file: there is no such directory" in wrong(capsys, "file")


@pytest.mark.parametrize("arguments", [["--nov"], ["more"], ["--temp", "1"], ["--a\nb"]])
def test_what_there_is_not(arguments: list[str], run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"unrecognized arguments: {arguments[0]!r}".replace("'", "") in wrong(capsys, run_dir, *arguments)


def test_what_does_not_go_together(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "argument --within: expected --like NAME with it" in wrong(capsys, run_dir, "--within", 1)
    line = wrong(capsys, run_dir, "--like", "ab" * 40, "--within", 3)
    assert "--within must leave at most 5,000,000 strings to compare, but got 3" in line


@pytest.mark.parametrize("category", ["elf", "all", "elf:0.5,orc:0.5", ""])
def test_a_category_of_a_list_without(
    category: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = wrong(capsys, run_dir, "--category", category)
    assert "--category is for a list with categories, but this run's list has none" in line


def test_a_file_that_cannot_be_written(
    run_dir: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    for text in VALUES["-o"].refused:
        line = wrong(capsys, run_dir, f"-o{text}") if text else wrong(capsys, run_dir, "-o", "")
        assert "argument -o: got " in line
        assert "expected a " in line
    assert list(folder.iterdir()) == []


def test_as_a_process(folder: Path) -> None:
    command = [sys.executable, "-m", "namegen_ext.sample", "nowhere", "--temperature", "nan"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "python -m namegen_ext.sample: error: argument --temperature: got 'nan', "
        "expected a number above 0, at most 1e+38 (--top-k 1 gives the likeliest name)\n"
    )
