"""Rows are added, and a file of another kind is left alone."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.machine import Machine
from namegen_bench.measuring.timing import Timing
from namegen_bench.reporting.csv_file import HEADER, CsvFile, CsvFileError, rows_of


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_new_file_begins_with_the_header(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    CsvFile(path)
    assert path.read_text(encoding="utf-8") == ",".join(HEADER) + "\n"
    empty = tmp_path / "empty.csv"
    empty.touch()
    CsvFile(empty)
    assert empty.read_bytes() == path.read_bytes()


def test_rows_hold_what_was_measured(tmp_path: Path, comparison: Comparison, machine: Machine) -> None:
    path = tmp_path / "rows.csv"
    CsvFile(path).add(rows_of(comparison, machine))
    stock, fused = read(path)
    assert (stock["peer"], fused["peer"]) == ("stock", "fused-layers")
    assert fused["suite"] == "ops"
    assert fused["case"] == "batch_norm"
    assert fused["mode"] == "forward+backward"
    assert fused["sizes"] == "H=200"
    assert int(fused["batch"]) == 1024
    assert float(stock["median_seconds"]) == 5e-4
    assert float(stock["lower_quartile_seconds"]) == 4.5e-4
    assert float(stock["upper_quartile_seconds"]) == 5.5e-4
    assert float(fused["speedup"]) == 2
    assert int(fused["rounds"]) == 3
    assert int(fused["calls_per_sample"]) == 50
    assert int(stock["peak_allocated_bytes"]) == 4000
    assert int(stock["peak_resident_bytes"]) == 900_000
    assert fused["peak_resident_bytes"] == fused["loss"] == fused["compile_seconds"] == ""
    assert (stock["share_of_floor"], fused["share_of_floor"]) == ("", "0.25")
    assert (float(fused["fma_rate"]), float(fused["bandwidth"]), float(fused["clock_mhz"])) == (
        2e11,
        1e10,
        2600,
    )
    assert stock["fma_rate"] == stock["bandwidth"] == stock["clock_mhz"] == stock["warm_up_seconds"] == ""
    assert float(fused["warm_up_seconds"]) == 0.5
    assert fused["cpu"] == machine.cpu
    assert fused["versions"] == machine.versions
    assert (fused["isa"], fused["threads"], fused["commit"]) == ("avx2", "1", "abc1234")
    assert fused["date"] == machine.date


def test_a_peer_has_a_row_for_each_number_of_threads(
    tmp_path: Path, comparison: Comparison, machine: Machine
) -> None:
    best = replace(comparison.peers["fused-layers"], threads=4)
    slower = replace(best, threads=1, timing=Timing((4e-4, 6e-4, 5e-4), 20))
    several = replace(
        comparison,
        peers=comparison.peers | {"fused-layers": best},
        others=(("fused-layers", slower),),
    )
    path = tmp_path / "rows.csv"
    CsvFile(path).add(rows_of(several, machine))
    rows = [(row["peer"], row["threads"], float(row["speedup"])) for row in read(path)]
    assert rows == [("stock", "1", 1), ("fused-layers", "4", 2), ("fused-layers", "1", 1)]


def test_the_gpu_stands_in_the_rows_that_were_measured_on_it(
    comparison: Comparison, machine: Machine
) -> None:
    with_gpu = replace(machine, gpu="A GPU")
    assert {row.gpu for row in rows_of(comparison, with_gpu)} == {""}
    assert {row.gpu for row in rows_of(replace(comparison, suite="gpu"), with_gpu)} == {"A GPU"}
    assert "A GPU" in str(with_gpu)


def test_rows_are_added_after_those_that_are_there(
    tmp_path: Path, comparison: Comparison, machine: Machine
) -> None:
    path = tmp_path / "rows.csv"
    CsvFile(path).add(rows_of(comparison, machine))
    before = path.read_bytes()
    CsvFile(path).add(rows_of(comparison, machine))
    after = path.read_bytes()
    assert after.startswith(before)
    assert after[len(before) :] == before.partition(b"\n")[2]
    assert len(read(path)) == 4


def test_a_last_line_without_its_end_is_ended_first(
    tmp_path: Path, comparison: Comparison, machine: Machine
) -> None:
    path = tmp_path / "cut.csv"
    CsvFile(path).add(rows_of(comparison, machine))
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    CsvFile(path).add(rows_of(comparison, machine))
    assert len(read(path)) == 4


@pytest.mark.parametrize(
    "content",
    [
        ",".join(HEADER[:-1]) + "\n",
        ",".join((*HEADER, "more")) + "\n",
        ",".join((HEADER[1], HEADER[0], *HEADER[2:])) + "\n",
        "name\nemma\n",
        "\n" + ",".join(HEADER) + "\n",
    ],
)
def test_another_header_is_refused_and_the_file_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(
        CsvFileError, match=r"other\.csv: its columns are not those of this version"
    ) as caught:
        CsvFile(path)
    assert "\n" not in str(caught.value)
    assert path.read_text(encoding="utf-8") == content


def test_what_cannot_be_a_csv_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CsvFileError, match="cannot be read"):
        CsvFile(tmp_path)
    with pytest.raises(CsvFileError, match="cannot be written"):
        CsvFile(tmp_path / "missing" / "rows.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CsvFileError, match="is not a CSV file in UTF-8"):
        CsvFile(binary)
