"""Lists with categories on the command line: ``train``, ``sample --category`` and ``score --classify``."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from flag_values import told_as_wrong

from namegen_ext import load
from namegen_ext.cli.main import main
from namegen_ext.sample import main as sample
from namegen_ext.score import main as score

SMALL = ["--steps", "80", "--hidden-size", "12", "--embedding-dim", "4", "--samples", "3"]


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files, and a table of both."""
    path = tmp_path_factory.mktemp("lists")
    draw = random.Random(2)
    rows = ["name,kind"]
    for kind, letters in (("elf", "aeiln"), ("orc", "ugzka")):
        words = ["".join(draw.choices(letters, k=draw.randint(2, 6))) for _ in range(60)]
        (path / kind).write_text("\n".join(words))
        rows += [f"{word},{kind}" for word in words]
    (path / "both.csv").write_text("\n".join(rows))
    return path


@pytest.fixture(scope="module")
def run_dir(lists: Path) -> Path:
    files = [f"elf={lists}/elf", f"orc={lists}/orc"]
    assert main(["train", "--data", *files, *SMALL, "--fused", "--out", str(lists / "run")]) == 0
    return lists / "run"


def test_files_and_a_column_train_the_same(
    lists: Path, run_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    table = ["--data", str(lists / "both.csv"), "--category-column", "kind"]
    assert main(["train", *table, *SMALL, "--fused", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    report = summary["categories"]
    assert report == load(out).category_report()
    assert report == json.loads((run_dir / "summary.json").read_text())["categories"]
    assert f"the category of {report['accuracy']:.1%} of 24 held-out names is found" in told
    assert f"  orc  dev {report['losses']['orc']['dev']:.4f}" in told
    assert len(summary["samples"]) == 3
    assert json.loads((out / "config.json").read_text())["data"]["categories"] == ["elf", "orc"]


def test_a_run_is_resumed(lists: Path, tmp_path: Path) -> None:
    table = [
        "--data",
        str(lists / "both.csv"),
        "--category-column",
        "kind",
        *SMALL[2:],
        "--schedule",
        "constant",
    ]
    assert main(["train", *table, "--steps", "40", "--out", str(tmp_path / "parts")]) == 0
    assert main(["train", "--resume", str(tmp_path / "parts"), "--steps", "80"]) == 0
    assert main(["train", *table, "--steps", "80", "--out", str(tmp_path / "whole")]) == 0
    first, second = (
        json.loads((tmp_path / name / "summary.json").read_text()) for name in ("parts", "whole")
    )
    assert first["categories"] == second["categories"]
    assert first["samples"] == second["samples"]


def test_names_of_a_category(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = load(run_dir)
    for category in ("elf", "orc:1", "elf:0.5,orc:0.5"):
        assert sample([str(run_dir), "-n", "30", "--seed", "1", "--category", category]) == 0
        names = capsys.readouterr().out.splitlines()
        assert names == generator.sample(30, seed=1, category=category)
    assert sample([str(run_dir), "-n", "9", "--seed", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == generator.sample(9, seed=1)


def test_all_categories_in_turn(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = load(run_dir)
    expected = [(c, name) for c in ("elf", "orc") for name in generator.sample(4, seed=1, category=c)]
    assert sample([str(run_dir), "-n", "4", "--seed", "1", "--category", "all"]) == 0
    text, told = capsys.readouterr()
    assert text == "".join(f"{category}\t{name}\n" for category, name in expected)
    assert told.startswith("8 names, ")
    assert sample([str(run_dir), "-n", "4", "--seed", "1", "--category", "all", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["category"], row["name"]) for row in rows] == expected
    right = generator.score([expected[0][1]], category="elf")[0]["nll"]
    assert rows[0]["nll"] == pytest.approx(right, abs=1e-6), "given the category"


def test_classify(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names").write_text("leila\ngukzug\n")
    assert score([str(run_dir), str(tmp_path / "names"), "--classify", "--format", "jsonl"]) == 0
    text, told = capsys.readouterr()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["category"] for row in rows] == ["elf", "orc"]
    assert rows[0]["posterior"]["elf"] > 0.5
    report = load(run_dir).category_report()
    assert f"\nthe category of {report['accuracy']:.1%} of 24 held-out names is found" in told
    assert (
        score([str(run_dir), str(tmp_path / "names"), "--classify", "--no-nearest", "--category", "orc"]) == 0
    )
    line = capsys.readouterr().out.splitlines()[1].split("\t")
    assert float(line[1]) == pytest.approx(
        load(run_dir).score(["gukzug"], category="orc")[0]["nll"], abs=1e-5
    )


def test_without_torch(run_dir: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from namegen_ext.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for arguments in (
        ["sample", "--category", "elf:0.5,orc:0.5"],
        ["sample"],
        ["score", "--classify", str(run_dir.parent / "elf")],
    ):
        command = [sys.executable, "-c", program, arguments[0], str(run_dir), *arguments[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--category", "hobbit"], "--category must be one of 'elf, orc', but got 'hobbit'"),
        (["--category", "elf:0.5,orc:0.4"], "--category must have weights that sum to 1, but got 0.9"),
        (["--category", "elf,orc"], "--category must have weights from 0 to 1 such as elf:0.7, but got ''"),
    ],
)
def test_categories_that_cannot_be(
    flags: list[str], told: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in told_as_wrong(sample, capsys, [run_dir, *flags], "sample")
    assert told in told_as_wrong(score, capsys, [run_dir, "-", *flags], "score")


def test_lists_that_cannot_be(lists: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from namegen_ext.train import main as train

    files = [f"elf={lists}/elf", f"orc={lists}/orc"]
    for arguments, told in (
        (["--data", files[0], f"{lists}/orc"], "argument --data: "),
        (
            ["--data", *files, "--model", "wavenet", "--block-size", "4", "--factors", "2x2"],
            "a list with categories: the category has a place in the block",
        ),
        (
            ["--data", f"{lists}/both.csv", "--category-column", "9"],
            "category-column: got 9, expected a number from 1",
        ),
        (["--data", "census", "--category-column", "2"], "the list census has no columns"),
        (["--data", f"elf={lists}/none"], "there is no such file"),
    ):
        assert told in told_as_wrong(train, capsys, arguments, "train")
    assert list(folder.iterdir()) == []


def test_fit_takes_categories(lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["fit", f"elf={lists}/elf", f"orc={lists}/orc", "--budget", "2", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    report = json.loads((out / "summary.json").read_text())["categories"]
    assert f"the category of {report['accuracy']:.1%} of 24 held-out names is found" in told
    assert load(out).category_report() == report, "of the model that had not learnt the held-out names"
    assert sample([str(out), "-n", "9", "--seed", "1", "--category", "orc", "--match", ".*[kz]a"]) == 0
    names = capsys.readouterr().out.splitlines()
    assert len(names) == 9
    assert all(name[-2:] in ("ka", "za") for name in names)
    assert score([str(out), f"{lists}/orc", "--classify", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(row["category"] == "orc" for row in rows) > 50
