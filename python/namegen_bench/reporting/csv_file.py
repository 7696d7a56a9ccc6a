"""The CSV file of results. Rows are added at its end, and nothing in it is ever changed."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from namegen_bench.bench_errors import BenchError
from namegen_bench.measuring.comparison import Comparison
from namegen_bench.measuring.machine import Machine
from namegen_bench.names import GPU, STOCK


class CsvFileError(BenchError):
    """No rows can be added to the file; the message says why."""


@dataclass(frozen=True)
class Row:
    """One peer of one case at one number of threads. The fields are the columns.

    Times are in seconds, memory in bytes, the loss in nats. ``speedup`` is over the stock layers in the same
    comparison, at their best number of threads. ``fma_rate`` (operations per second) and ``bandwidth`` (bytes per
    second) are the rates of the machine, measured in the same run with the same number of threads. A value that was not
    measured is empty.
    """

    suite: str
    case: str
    peer: str
    mode: str
    batch: int
    sizes: str
    threads: int
    isa: str
    median_seconds: float
    lower_quartile_seconds: float
    upper_quartile_seconds: float
    rounds: int
    calls_per_sample: int
    speedup: float
    warm_up_seconds: float | None
    compile_seconds: float | None
    peak_allocated_bytes: int | None
    peak_resident_bytes: int | None
    loss: float | None
    share_of_floor: float | None
    fma_rate: float | None
    bandwidth: float | None
    clock_mhz: float | None
    commit: str
    versions: str
    cpu: str
    gpu: str
    date: str


HEADER = tuple(field.name for field in fields(Row))


def rows_of(comparison: Comparison, machine: Machine) -> list[Row]:
    """Write a comparison as rows, one for each peer at each number of threads. The best numbers come first."""
    rows = []
    for peer, measured in comparison.all_measured():
        seconds = measured.timing.seconds
        rates = measured.rates
        rows.append(
            Row(
                suite=comparison.suite,
                case=comparison.case,
                peer=peer,
                mode=comparison.mode,
                batch=comparison.batch,
                sizes=comparison.sizes,
                threads=machine.threads if measured.threads is None else measured.threads,
                isa=machine.isa,
                median_seconds=seconds.median,
                lower_quartile_seconds=seconds.lower,
                upper_quartile_seconds=seconds.upper,
                rounds=len(measured.timing.samples),
                calls_per_sample=measured.timing.calls,
                speedup=measured.timing.speedup_over(comparison.peers[STOCK].timing).median,
                warm_up_seconds=measured.timing.warm_up_seconds,
                compile_seconds=measured.compile_seconds,
                peak_allocated_bytes=measured.peak_allocated,
                peak_resident_bytes=measured.peak_resident,
                loss=measured.loss,
                share_of_floor=measured.share_of_floor,
                fma_rate=None if rates is None else rates.operations_per_second,
                bandwidth=None if rates is None else rates.bytes_per_second,
                clock_mhz=None if rates is None else rates.clock_mhz,
                commit=machine.commit,
                versions=machine.versions,
                cpu=machine.cpu,
                gpu=machine.gpu if comparison.suite == GPU else "",
                date=machine.date,
            )
        )
    return rows


def row_texts(row: Row) -> dict[str, str]:
    """Return the texts of a row as they are written, by column."""
    return dict(zip(HEADER, map(_text, astuple(row)), strict=True))


class CsvFile:
    """A CSV file that rows are added to. A new file begins with the header.

    Args:
        path: the file. It is created at once, so that an error shows before anything is measured.

    Raises:
        CsvFileError: the file cannot be written, or begins with another header.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        first_line, ends_whole = self._look()
        if first_line is None:
            self._add(_lines([HEADER]))
            return
        if tuple(next(csv.reader([first_line]), ())) != HEADER:
            raise CsvFileError(
                f"{path}: its columns are not those of this version, so give another file: its first line is "
                f"{_shorten(first_line)!r}, expected {_shorten(','.join(HEADER))!r}"
            )
        self._add("" if ends_whole else "\n")  # this also shows that the file can be written

    def add(self, rows: list[Row]) -> None:
        """Add rows. They are in the file when this returns.

        Raises:
            CsvFileError: the file cannot be written.

        """
        self._add(_lines([tuple(row_texts(row).values()) for row in rows]))

    def _look(self) -> tuple[str | None, bool]:
        """Return the first line and whether the last line is complete; the line is None for no file or an empty one."""
        try:
            content = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None, True
        except OSError as error:
            raise CsvFileError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise CsvFileError(f"{self.path}: is not a CSV file in UTF-8") from None
        lines = content.splitlines()
        return (lines[0], content.endswith("\n")) if lines else (None, True)

    def _add(self, text: str) -> None:
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise CsvFileError(f"{self.path}: cannot be written: {error.strerror or error}") from None


def _lines(rows: list[tuple[str, ...]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
