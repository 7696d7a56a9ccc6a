"""``namegen score``, and the formats and files of ``namegen sample``."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from namegen_ext.cli.main import main
from namegen_ext.fit_names import fit
from namegen_ext.generator import Generator

NAMES = [a + b + c for a in "bdklmn" for b in ("a", "eo", "o") for c in ("na", "ris", "l", "tta")]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("score") / "run"
    fit(NAMES, steps=150, hidden_size=24, embedding_dim=4, block_size=2, seed=1).save(path)
    return path


@pytest.fixture
def name_file(folder: Path) -> Path:
    path = folder / "names"
    path.write_text("bana\n\nbaxa\n  doris \nMana\n", encoding="utf-8")
    return path


SCORED = ["bana", "baxa", "doris", "Mana"]


def test_rows_in_every_format(run_dir: Path, name_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = list(Generator.from_run(run_dir).score(SCORED))
    texts = {}
    for form in ("lines", "csv", "json", "jsonl"):
        assert main(["score", str(run_dir), str(name_file), "--format", form]) == 0
        texts[form], told = capsys.readouterr()
        assert told.startswith("4 names, 1 new (not among the 72 names of its list); ")
        assert told.endswith(
            "; 2 with a letter that the model does not know, which are left out of the mean\n"
        )
    lines = [line.split("\t") for line in texts["lines"].split("\n")[:-1]]
    header, *table = csv.reader(io.StringIO(texts["csv"]))
    assert header == [
        "name",
        "nll",
        "nll_per_character",
        "percentile",
        "novel",
        "nearest",
        "distance",
        "unknown",
    ]
    assert lines == table
    rows = json.loads(texts["json"])
    assert rows == [json.loads(line) for line in texts["jsonl"].splitlines()]
    for row, line, right in zip(rows, table, expected, strict=True):
        assert row["name"] == line[0] == right["name"]
        is_known = "unknown" not in right
        assert row["nll"] == (pytest.approx(right["nll"], abs=1e-6) if is_known else None)
        assert float(line[1]) == pytest.approx(right["nll"], abs=1e-6)
        assert (row["novel"], row["nearest"], row["distance"]) == (
            right["novel"],
            right["nearest"],
            right["distance"],
        )
        assert row.get("unknown") == right.get("unknown")
        assert line[7] == right.get("unknown", "")
    assert rows[1]["unknown"] == "x"
    assert not rows[3]["novel"], "case does not count"


def test_sorted_without_the_nearest(
    run_dir: Path, name_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(run_dir), str(name_file), "--sort", "--no-nearest", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "nearest" not in rows[0]
    assert rows[0]["nll"] <= rows[1]["nll"]
    assert [row["nll"] for row in rows[2:]] == [None, None]


def test_standard_input_and_a_file(run_dir: Path, folder: Path) -> None:
    (folder / "rows").write_text("before")
    done = subprocess.run(
        [sys.executable, "-m", "namegen_ext.score", str(run_dir), "-o", "rows", "--format", "csv", "-"],
        input="bana\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (folder / "rows").read_text().splitlines()[1].startswith("bana,")
    assert [path.name for path in folder.iterdir()] == ["rows"]


def test_no_names(run_dir: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").write_text("\n")
    assert main(["score", str(run_dir), "empty", "--format", "json"]) == 0
    text, told = capsys.readouterr()
    assert json.loads(text) == []
    assert told == "0 names, 0 new (not among the 72 names of its list)\n"


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_rows_of_drawn_names(form: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(run_dir), "-n", "700", "--seed", "1", "--format", form]) == 0
    text = capsys.readouterr().out
    generator = Generator.from_run(run_dir)
    expected = generator.score(generator.sample(700, seed=1))
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert list(rows[0]) == ["name", "nll", "novel", "nearest"]
        assert [row["novel"] == "true" for row in rows] == expected.novel.tolist()
    else:
        rows = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
        assert [row["novel"] for row in rows] == expected.novel.tolist()
    assert [row["name"] for row in rows] == expected.names
    assert [row["nearest"] for row in rows] == expected.nearest
    assert [float(row["nll"]) for row in rows] == pytest.approx(expected.nll.tolist(), abs=1e-6)


def test_drawn_names_in_a_file(run_dir: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(run_dir), "-n", "50", "--seed", "1", "-o", "drawn"]) == 0
    assert capsys.readouterr().out == ""
    assert (folder / "drawn").read_text().splitlines() == Generator.from_run(run_dir).sample(50, seed=1)
    # Where not enough can be found, what stood there stays.
    arguments = [
        "sample",
        str(run_dir),
        "-n",
        "100000",
        "--like",
        "bana",
        "--within",
        "1",
        "--unique",
        "-o",
        "drawn",
    ]
    assert main(arguments) == 1
    assert "found only" in (line := capsys.readouterr().err)
    assert line.endswith("; drawn was not written\n")
    assert len((folder / "drawn").read_text().splitlines()) == 50
    assert [path.name for path in folder.iterdir()] == ["drawn"]


def test_the_summary_counts_near_copies(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(run_dir), "-n", "20", "--seed", "1", "--max-similarity", "0.7"]) == 0
    names, told = capsys.readouterr()
    generator = Generator.from_run(run_dir)
    stream = generator.stream(20, seed=1, max_similarity=0.7)
    assert names.splitlines() == stream.to_list()
    assert f", {stream.counts.similar:,} left out as more than 0.7 similar to a name of its list" in told
    assert "20 names, 20 new" in told
