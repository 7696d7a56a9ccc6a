"""``python -m namegen_ext.train`` on lists as people have them, and what ``sample`` makes of such runs."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest
from flag_values import told_as_wrong

from namegen_ext.generator import Generator
from namegen_ext.sample import main as sample
from namegen_ext.train import main
from namegen_ext.training import load_run

SMALL = ["--hidden-size", "16", "--embedding-dim", "4", "--steps", "60", "--samples", "4", "--out", "run"]
NAMES = ["Mary", "Anna", "Emma", "Elizabeth", "Minnie", "Margaret", "Ida", "Alice", "Bertha", "Sarah"]
TABLE = "".join(f"{name},F,{7065 - 600 * number}\n" for number, name in enumerate(NAMES)) + "Mary,M,27\n"
TOWNS = ["St. Ives", "St. Albans", "Bath", "Wells", "O'Brienstown", "Stoke-on-Trent", "Ely", "St. Asaph"]


def test_counts_come_from_a_column_and_stay_with_the_run(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "yob1880.txt").write_text(TABLE, encoding="utf-8")
    flags = ["--data", "yob1880.txt", "--column", "1", "--count-column", "3", "--case", "title"]
    assert main([*SMALL, *flags]) == 0
    told = capsys.readouterr().out
    assert "training counts each name as often as the list says, 43,677 times in all" in told
    run = load_run(folder / "run")
    assert run.words == [name.lower() for name in NAMES]
    assert run.weights == [7092, 6465, 5865, 5265, 4665, 4065, 3465, 2865, 2265, 1665]
    assert run.splits.train_weights is not None
    config = json.loads((folder / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["data"]["reading"] == {
        "column": "1",
        "count_column": "3",
        "comment": None,
        "case": "title",
        "normalize": "none",
        "rare": 0,
    }
    names = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))["samples"]
    assert all(name == name.title() for name in names)

    assert main(["--resume", "run", "--steps", "80"]) == 0
    again = ["--data", "yob1880.txt", "--column", "1", "--count-column", "3", "--case", "title"]
    whole = [*SMALL[:-2], *again, "--steps", "80", "--out", "whole", "--schedule", "constant"]
    assert main(whole) == 0
    capsys.readouterr()
    assert sample(["run", "-n", "50", "--seed", "1", "--prefix", "MA"]) == 0
    drawn = capsys.readouterr().out.split()
    assert len(drawn) == 50
    assert all(name.startswith("Ma") and name == name.title() for name in drawn)
    generator = Generator.from_run(folder / "run")
    assert generator.sample(50, seed=1, prefix="ma") == drawn
    assert generator.nll(["MARY"]) == generator.nll(["mary"])
    assert not {name.lower() for name in generator.sample(300, seed=2, novel=True)} & set(run.words)


def test_a_run_with_counts_ends_with_the_same_bits_when_resumed(folder: Path) -> None:
    (folder / "names.csv").write_text("name,sex,n\n" + TABLE, encoding="utf-8")
    flags = [*SMALL[:-2], "--data", "names.csv", "--count-column", "n", "--schedule", "constant"]
    assert main([*flags, "--steps", "40", "--out", "run"]) == 0
    assert main(["--resume", "run", "--steps", "60"]) == 0
    assert main([*flags, "--steps", "60", "--out", "whole"]) == 0
    for name in ("model.safetensors", "weights.txt", "words.txt"):
        assert (folder / "run" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    (folder / "run" / "weights.txt").write_text("1\n" * 10)
    with pytest.raises(ValueError, match=r"weights\.txt: is not that of the run"):
        load_run(folder / "run").weights  # noqa: B018


def test_full_stops_are_letters(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "towns.txt").write_text("\n".join(TOWNS), encoding="utf-8")
    for model in (["--model", "mlp"], ["--model", "wavenet"], ["--model", "gpt", "--embedding-dim", "8"]):
        out = model[1]
        flags = ["--data", "towns.txt", "--steps", "20", "--samples", "3", "--out", out, *model]
        assert main([*flags, "--learning-rate", "0.01"]) == 0
        capsys.readouterr()
        assert sample([out, "-n", "200", "--seed", "1", "--prefix", "St. "]) == 0
        assert all(name.startswith("St. ") for name in capsys.readouterr().out.splitlines())
    python = Generator.from_run(folder / "mlp").sample(200, seed=5)
    assert any("." in name for name in python)
    assert python == list(Generator.from_run(folder / "mlp").stream(200, seed=5, backend="python"))


def test_standard_input_gzip_and_several_files(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.txt.gz").write_bytes(gzip.compress(("# towns\n" + "\n".join(TOWNS[:4])).encode()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(TOWNS[4:]).encode())))
    assert main([*SMALL, "--data", "a.txt.gz", "-", "--comment", "#"]) == 0
    run = load_run(folder / "run")
    assert run.words == TOWNS
    assert run.config.data_name == "a.txt.gz+standard-input"
    assert main(["--resume", "run", "--steps", "70"]) == 0  # standard input is not read again


def test_what_is_left_out_is_told(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    towns = [*TOWNS, *TOWNS, "\u017bory"]
    lines = "".join(f"{town},UK\n" for town in towns)
    (folder / "towns.csv").write_text("town,country\n" + lines, encoding="utf-8")
    assert main([*SMALL, "--data", "towns.csv", "--rare", "2", "--case", "lower"]) == 0
    told = capsys.readouterr().out
    assert "towns.csv: the first row, 'town,country', is taken for a header" in told
    assert "towns.csv: the words are taken from column 1, 'town', of 2" in told
    assert "1 of 17 words are left out, as fewer than 2 words have their character '\u017c'" in told
    assert "dev and" in told
    assert "are too few for their losses to mean much" in told


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--data", "towns.csv", "--column", "3"],
            "--data: towns.csv: column: got 3, expected a number from 1 to 2",
        ),
        (["--data", "towns.csv", "--count-column", "2"], "line 2: the count is 'UK', expected a number"),
        (["--data", "census", "--count-column", "2"], "the list census has no columns"),
        (["--rare", "1000000"], "0 distinct words are left, expected at least two"),
    ],
)
def test_lists_that_cannot_be(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "towns.csv").write_text(
        "town,country\n" + "".join(f"{town},UK\n" for town in TOWNS), encoding="utf-8"
    )
    assert expected in told_as_wrong(main, capsys, arguments, "train")
    assert [path.name for path in folder.iterdir()] == ["towns.csv"]


def test_a_resumed_run_keeps_how_its_list_was_read(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    line = told_as_wrong(main, capsys, ["--resume", "run", "--case", "lower"], "train")
    assert "argument --case: a run that is resumed keeps its own; leave it out" in line


# ---- training that notices -----------------------------------------------------------------------------------


def test_a_list_that_is_learnt_by_heart_is_told_of(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "towns.txt").write_text("\n".join(TOWNS * 2), encoding="utf-8")
    flags = ["--data", "towns.txt", "--split-seed", "3", "--steps", "1500", "--eval-every", "200", "--fused"]
    assert main([*flags, "--out", "best"]) == 0
    told = capsys.readouterr().out
    summary = json.loads((folder / "best" / "summary.json").read_text(encoding="utf-8"))
    assert summary["kept_step"] == summary["best_step"] < 1500 == summary["steps"]
    assert summary["last_dev_loss"] > summary["dev_loss"] + 0.05
    assert summary["dev_loss"] == summary["best_dev_loss"]
    assert f"the dev loss rose from {summary['dev_loss']:.4f} at step {summary['best_step']:,}" in told
    assert told.count("learns the names by heart: that model is kept") == 1
    assert load_run(folder / "best").step == summary["best_step"]

    assert main([*flags, "--keep", "last", "--out", "last"]) == 0
    assert "learns the names by heart: --keep best keeps that model" in capsys.readouterr().out
    assert load_run(folder / "last").step == 1500

    assert main([*flags, "--patience", "2", "--out", "patient"]) == 0
    assert "evaluations brought no lower dev loss" in capsys.readouterr().out
    ended = json.loads((folder / "patient" / "summary.json").read_text(encoding="utf-8"))
    assert ended["steps"] < 1500
    assert ended["out_of_patience"]
    assert ended["dev_loss"] == summary["dev_loss"]
    line = told_as_wrong(main, capsys, ["--resume", "patient"], "train")
    assert "argument --patience: got 2, but 2 evaluations brought no lower dev loss" in line
    assert main(["--resume", "patient", "--patience", "0"]) == 0
    again = json.loads((folder / "patient" / "summary.json").read_text(encoding="utf-8"))
    assert again["steps"] == 1500
    names = ("model.safetensors", "metrics.jsonl")
    assert all(
        (folder / "patient" / name).read_bytes() == (folder / "best" / name).read_bytes() for name in names
    )


def test_counting_tells_nothing_of_steps(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["--model", "ngram", "--block-size", "2", "--fused", "--out", "run"]) == 0
    told = capsys.readouterr().out
    assert "0 steps" not in told
    assert "fuse" not in told
    assert "set from counts" in told


def test_a_loss_above_that_of_guessing_is_told_of(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    flags = ["--init", "plain", "--no-batch-norm", "--steps", "3", "--learning-rate", "0.001"]
    assert main([*flags, "--data", "census", "--out", "run"]) == 0
    assert (
        "the train loss is above 3.2958, that of guessing evenly among the 27 symbols"
        in capsys.readouterr().out
    )
