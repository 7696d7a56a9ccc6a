"""``bench quality``: near copies, rows, the table, and the command from a file and from lists."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from namegen_bench.bench_command import main
from namegen_bench.bench_errors import BenchError
from namegen_bench.quality.near_names import NearNames
from namegen_bench.quality.quality_runs import (
    HEADER,
    QualityRow,
    append_row,
    list_files,
    read_list,
    read_rows,
)
from namegen_bench.quality.quality_table import list_results, markdown_table


def distance(first: str, second: str) -> int:
    """The Levenshtein distance, by its definition."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        previous, row = row, [i]
        for j, b in enumerate(second, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b)))
    return row[-1]


def test_near_names_are_one_change_away() -> None:
    draw = random.Random(1)
    names = ["".join(draw.choices("abc", k=draw.randint(1, 5))) for _ in range(12)]
    near = NearNames(names)
    for _ in range(3000):
        name = "".join(draw.choices("abc", k=draw.randint(0, 6)))
        least = min(distance(name, known) for known in names)
        assert near.is_copy(name) == (least == 0)
        assert near.is_near(name) == (least == 1), (name, names)


def row(list_name: str, seed: int, model: str, loss: float) -> QualityRow:
    return QualityRow(list_name, 90 if list_name == "towns" else 20, seed, model, loss, 0.25, 0.5, 2.0, 1.5)


ROWS = [
    row("towns", 1, "witten-bell", 2.5),
    row("towns", 2, "witten-bell", 2.3),
    row("towns", 1, "wavenet", 2.2),
    row("towns", 2, "wavenet", 2.4),
    row("towns", 1, "fit", 2.0),
    row("towns", 2, "fit", 2.1),
    row("a_few", 1, "wavenet", 3.0),
    row("a_few", 1, "fit", 2.5),
]


def test_the_table_has_means_over_the_seeds() -> None:
    first, second = results = list_results(ROWS)
    assert [first.list_name, second.list_name] == ["a_few", "towns"], "by their size"
    best = second.best_single
    assert best is not None
    assert (best.model, round(best.test_loss, 9)) == ("wavenet", 2.3)
    assert second.gain == pytest.approx(0.25)
    lines = markdown_table(results).splitlines()
    assert lines[0] == (
        "| list | names | Witten-Bell | WaveNet, 3,000 steps | fit | gain | copies | near | seconds | of a core |"
    )
    assert lines[2] == "| a few | 20 |  | 3.000 | **2.500** | 0.500 | 25.0% | 50.0% | 2.0 | 1.5 |"
    assert lines[3] == "| towns | 90 | 2.400 | 2.300 | **2.050** | 0.250 | 25.0% | 50.0% | 2.0 | 1.5 |"
    assert lines[4] == "| mean |  |  | 2.650 | 2.275 | 0.375 | 25.0% | 50.0% | 2.0 | 1.5 |"


def test_rows_survive_a_file(tmp_path: Path) -> None:
    for one in ROWS:
        append_row(tmp_path / "rows.csv", one)
    assert read_rows(tmp_path / "rows.csv") == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the columns list_name"),
        ("a,b\n", "line 1: expected the columns list_name"),
        (",".join(HEADER) + "\ntowns,x,1,fit,1,1,1,1,1\n", "line 2: invalid literal"),
        (",".join(HEADER) + "\ntowns,5\n", "line 2:"),
        (",".join(HEADER) + "\ntowns,5,1,rnn,1,1,1,1,1\n", "line 2: there is no model 'rnn'"),
    ],
)
def test_a_file_of_other_rows_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(BenchError, match=r"rows\.csv: ") as caught:
        read_rows(tmp_path / "rows.csv")
    assert message in str(caught.value)


def test_lists_are_lower_case_and_distinct(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "towns.txt").write_text("Ulm\n\n ulm \nBad Ems\n")
    (file,) = list_files([tmp_path])
    assert read_list(file) == ["ulm", "bad ems"]
    with pytest.raises(BenchError, match="no list was found"):
        list_files([tmp_path / "deep" / "towns.txt"][:0])
    with pytest.raises(BenchError, match="cannot be read"):
        read_list(tmp_path / "absent.txt")


def test_the_command_measures_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(2)
    names = {
        "".join(draw.choice("βδκ") + draw.choice("αεο") for _ in range(draw.randint(2, 4))) for _ in range(80)
    }
    (tmp_path / "made.txt").write_text("\n".join(sorted(names)), encoding="utf-8")
    csv = tmp_path / "rows.csv"
    arguments = [
        "--lists",
        str(tmp_path),
        "--seeds",
        "2",
        "--models",
        "bigram,witten-bell",
        "--csv",
        str(csv),
    ]
    assert main(["quality", *arguments]) == 0
    out = capsys.readouterr().out
    assert "made, seed 2, witten-bell: test loss " in out
    table = out[out.index("| list") :]
    assert len(read_rows(csv)) == 4
    assert main(["quality", *arguments]) == 0
    again = capsys.readouterr().out
    assert again.splitlines()[1:] == table.splitlines(), "nothing was measured again"
    assert len(read_rows(csv)) == 4
    assert main(["quality", "--from", str(csv), "--plot", str(tmp_path / "charts")]) == 0
    assert capsys.readouterr().out.startswith(table)
    assert {path.name for path in (tmp_path / "charts").iterdir()} == {
        "quality-losses-light.svg",
        "quality-losses-dark.svg",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "argument --lists: expected it, or --from in its place"),
        (["--lists", "a", "--from", "b"], "argument --lists: expected it, or --from in its place"),
        (
            ["--lists", "a", "--seeds", "0"],
            "argument --seeds: got '0', expected a whole number from 1 to 100",
        ),
        (["--lists", "a", "--models", "rnn"], "argument --models: got 'rnn', expected some of bigram"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["quality", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_list_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quality", "--lists", str(tmp_path / "absent.txt")]) == 1
    assert "absent.txt: cannot be read" in capsys.readouterr().err
