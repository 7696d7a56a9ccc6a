"""What the command makes of results: ``--compare``, ``--plot``, ``--from`` and ``--page``."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.machine import Machine
from namegen_bench.reporting.csv_file import CsvFile, rows_of
from namegen_bench.suites.all_suites import SUITE_FUNCTIONS
from namegen_ext import bench


@pytest.fixture
def old(tmp_path: Path, comparison: Comparison, machine: Machine) -> Path:
    path = tmp_path / "old.csv"
    CsvFile(path).add(rows_of(comparison, machine))
    return path


@pytest.fixture
def new(old: Path) -> Path:
    """The same results, the fused layers' times doubled."""
    path = old.with_name("new.csv")
    with old.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["peer"] == "fused-layers":
            for name in ("lower_quartile_seconds", "median_seconds", "upper_quartile_seconds"):
                row[name] = str(2 * float(row[name]))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def wrong(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run with wrong arguments; return the one line that it ends in."""
    with pytest.raises(SystemExit) as caught:
        bench.main(list(map(str, arguments)))
    output = capsys.readouterr()
    assert caught.value.code == 2
    assert output.out == ""
    assert re.fullmatch(r"python -m namegen_ext\.bench: error: [^\n]+\n", output.err), output.err
    return output.err


def test_two_files_are_compared_without_measuring(
    old: Path, new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--from", str(new), "--compare", str(old)]) == 0
    output = capsys.readouterr().out
    assert f"compared with {old}: 1 slower, 0 faster, 1 unchanged" in output
    assert "x 2" in output
    assert bench.main(["--from", str(old), "--compare", str(old)]) == 0
    assert "0 slower, 0 faster, 2 unchanged" in capsys.readouterr().out


def test_only_the_suites_named_are_taken(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["ops", "train", "--from", str(old), "--compare", str(old)]) == 0
    assert "2 unchanged" in capsys.readouterr().out
    message = wrong(capsys, "train", "--from", old, "--compare", old)
    assert message.endswith("old.csv: holds no results of train\n")


def test_what_is_measured_is_compared_with_the_file_as_it_was_before(
    tmp_path: Path,
    comparison: Comparison,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "results.csv"
    monkeypatch.setitem(SUITE_FUNCTIONS, "ops", lambda *_: iter([comparison]))
    assert bench.main(["ops", "--csv", str(path)]) == 0
    lines = path.read_text(encoding="utf-8").splitlines()
    capsys.readouterr()
    assert bench.main(["ops", "--csv", str(path), "--compare", str(path)]) == 0
    assert "0 slower, 0 faster, 2 unchanged" in capsys.readouterr().out
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2 * len(lines) - 1


def test_damage_ends_in_one_line(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = old.with_name("damaged.csv")
    damaged.write_text(old.read_text(encoding="utf-8").replace(",0.0005,", ",0.0005"), encoding="utf-8")
    foreign = old.with_name("foreign.csv")
    foreign.write_text("name\nemma\n", encoding="utf-8")
    for flags in (("--from", old, "--compare"), ("--compare", old, "--from")):
        assert f"{flags[-1]}: {damaged}: line 2: got" in wrong(capsys, *flags, damaged)
        assert f"{flags[-1]}: {foreign}: line 1: names no column" in wrong(capsys, *flags, foreign)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--from", "FILE"], "argument --from: give --compare, --plot or --page with it"),
        (["--from", "FILE", "--plot", "x", "--csv", "y.csv"], "argument --csv: not allowed with --from"),
        (["--from", "FILE", "--plot", "x", "--quick"], "argument --quick: not allowed with --from"),
        (["--from", "FILE", "--plot", "x", "--data", "census"], "argument --data: not allowed with --from"),
        (["--from", "FILE", "--plot", "x", "--peers", "stock"], "argument --peers: not allowed with --from"),
        (["--from", "FILE", "--plot", "x", "--threads", "1"], "argument --threads: not allowed with --from"),
        (["--page", "page.md"], "argument --page: needs --from"),
        (
            ["--from", "FILE", "--page", "page.html"],
            "argument --page: got 'page.html', expected a file that ends in",
        ),
        (
            ["--from", "FILE", "--page", "no/page.md"],
            "argument --page: got 'no/page.md', whose directory does not",
        ),
        (["--from", "no.csv", "--plot", "x"], "argument --from: no.csv: there is no such file"),
        (["--from", "FILE", "--plot", "x.gif"], "argument --plot: got 'x.gif'"),
    ],
)
def test_wrong_arguments(
    arguments: list[str],
    expected: str,
    old: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(old.parent)
    assert expected in wrong(
        capsys, *(old.name if argument == "FILE" else argument for argument in arguments)
    )
    assert [path.name for path in old.parent.iterdir()] == [old.name]


def test_a_page_and_pictures_from_a_file(old: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing can be drawn")
    command = [
        sys.executable,
        "-m",
        "namegen_ext.bench",
        "--from",
        old.name,
        "--page",
        "page.md",
        "--plot",
        "x.svg",
    ]
    finished = subprocess.run(command, cwd=old.parent, capture_output=True, text=True, timeout=120)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == "drawn: x.svg\nwritten: page.md and 2 pictures\n"
    page = (old.parent / "page.md").read_text(encoding="utf-8")
    pictures = {path.name for path in (old.parent / "page").iterdir()}
    assert pictures == {"operators-light.svg", "operators-dark.svg"}
    assert all(f"page/{name}" in page for name in pictures)
    assert {path.name for path in old.parent.iterdir()} == {"old.csv", "page.md", "page", "x.svg"}


def test_nothing_to_draw_is_one_line(
    old: Path, comparison: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing can be drawn")
    old.write_text(old.read_text(encoding="utf-8").replace(comparison.mode, "forward"), encoding="utf-8")
    assert bench.main(["--from", str(old), "--plot", str(old.with_name("x.svg"))]) == 1
    assert capsys.readouterr().err.endswith("error: nothing was measured that could be drawn\n")
