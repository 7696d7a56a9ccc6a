"""Reading a CSV file of results: what was written comes back, and what is damaged is named."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.machine import Machine
from namegen_bench.measuring.timing import Quartiles
from namegen_bench.reporting.csv_file import HEADER, CsvFile, rows_of
from namegen_bench.reporting.results import NEEDED, Key, ResultsError, latest, read_results, results_of


@pytest.fixture
def path(tmp_path: Path, comparison: Comparison, machine: Machine) -> Path:
    path = tmp_path / "results.csv"
    CsvFile(path).add(rows_of(comparison, machine))
    return path


def test_a_file_gives_what_was_measured(path: Path, comparison: Comparison, machine: Machine) -> None:
    stock, fused = read_results(path)
    assert stock.key == Key(
        "ops", "batch_norm", "stock", "forward+backward", 1024, "H=200", 1, "avx2", 'A "fast", CPU'
    )
    assert fused.key == stock.key._replace(peer="fused-layers")
    assert stock.seconds == Quartiles(4.5e-4, 5e-4, 5.5e-4)
    assert (stock.peak_allocated, stock.peak_resident, stock.share_of_floor) == (4000, 900_000, None)
    assert (fused.peak_allocated, fused.peak_resident, fused.share_of_floor) == (2000, None, 0.25)
    assert fused.speedup == 2
    assert (fused.commit, fused.versions, fused.date) == (machine.commit, machine.versions, machine.date)
    assert results_of(rows_of(comparison, machine)) == [stock, fused]


def test_columns_of_other_versions_are_no_matter(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        values = next(csv.DictReader(file)) | {"cpu": "CPU"}
    few = [values[name] for name in NEEDED[:-3]] + ["1", "2", "3"]
    path.write_text(f"{','.join(NEEDED)},colour\n{','.join(few)},red\n", encoding="utf-8")
    (result,) = read_results(path)
    assert result.seconds == Quartiles(1, 2, 3)
    assert (result.loss, result.commit, result.key.gpu) == (None, "", "")


def test_the_last_result_of_a_key_counts(path: Path) -> None:
    first, second = read_results(path)
    found = latest([first, second, second, first])
    assert list(found) == [first.key, second.key]
    assert latest([first, second])[first.key] is first


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (",0.0005,", ",quick,", "line 2: median_seconds: got 'quick', expected a number"),
        (",0.0005,", ",nan,", "line 2: median_seconds: got 'nan', expected a number"),
        (",0.0005,", ",inf,", "line 2: median_seconds: got 'inf', expected a number"),
        (",0.0005,", ",,", "line 2: median_seconds: got '', expected a number"),
        (",0.0005,", ",-1,", "line 2: median_seconds: got '-1', expected a number above 0"),
        (",0.0005,", ",0.1,", "line 2: quartiles out of order"),
        (",1024,", ",1e3,", "line 2: batch: got '1e3', expected a whole number"),
        (",1024,", ",", "line 2: got {fewer} values, expected {columns}"),
        (",4000,", ",a lot,", "line 2: peak_allocated_bytes: got 'a lot', expected a number"),
        ("suite,", "sweet,", "line 1: names no column 'suite', so these are no results of this command"),
        ("date\n", "suite\n", "line 1: names a column twice"),
        ('"A ""fast""', '"A "fast', "line 2: is damaged"),
    ],
)
def test_damage_is_named(path: Path, old: str, new: str, expected: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    expected = expected.format(fewer=len(HEADER) - 1, columns=len(HEADER))
    with pytest.raises(ResultsError) as caught:
        read_results(path)
    assert str(caught.value).startswith(f"{path}: {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "line 1: names no column 'suite'"),
        (",".join(HEADER).encode() + b"\n", "holds no results"),
        (b"\xff\xfe\x00", "is not a CSV file in UTF-8"),
        (b"name\nemma\n", "line 1: names no column 'suite'"),
    ],
)
def test_what_are_no_results_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises(ResultsError, match=r"other\.csv: " + expected):
        read_results(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"missing\.csv: there is no such file"):
        read_results(tmp_path / "missing.csv")
    with pytest.raises(ResultsError, match="cannot be read"):
        read_results(tmp_path)
