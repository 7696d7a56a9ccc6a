"""Results as they stand in a CSV file. Comparisons, charts and pages are made of them.

Files of other versions can be read too: they may lack columns that are not needed here, or have more columns.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from namegen_bench.measuring.timing import Quartiles
from namegen_bench.reporting.csv_file import Row, row_texts

T = TypeVar("T")


class ResultsError(ValueError):
    """The results cannot be read; the message says why."""


class Key(NamedTuple):
    """The key of a result. Two measurements with the same key are of the same thing."""

    suite: str
    case: str
    peer: str
    mode: str
    batch: int
    sizes: str
    threads: int
    isa: str
    cpu: str
    gpu: str = ""


_TIMES = ("lower_quartile_seconds", "median_seconds", "upper_quartile_seconds")
NEEDED = (*(name for name in Key._fields if name not in Key._field_defaults), *_TIMES)


@dataclass(frozen=True)
class Result:
    """One peer of one case. A value that was not measured, or has no column in the file, is None or empty.

    Attributes:
        key: what was measured, and on which machine.
        seconds: the quartiles of the time. The key's mode says whether it is that of a call, a step, a name or a
            process.
        speedup: the speedup over the stock layers in the same comparison.
        compile_seconds: how long preparation and first steps of a peer took that compiles.
        peak_allocated: the peak of torch's allocator in bytes.
        peak_resident: the bytes by which the process grew at the peak.
        loss: the loss in nats.
        share_of_floor: the least time at the machine's own rates, over the median.
        fma_rate: the machine's operations per second; a multiplication and an addition count as two.
        bandwidth: the machine's bytes per second.
        clock_mhz: the average clock of the CPUs.
        commit: the commit of the checkout that was measured.
        versions: the versions of the packages, as text.
        date: when the run began, ISO 8601.

    """

    key: Key
    seconds: Quartiles
    speedup: float | None = None
    compile_seconds: float | None = None
    peak_allocated: float | None = None
    peak_resident: float | None = None
    loss: float | None = None
    share_of_floor: float | None = None
    fma_rate: float | None = None
    bandwidth: float | None = None
    clock_mhz: float | None = None
    commit: str = ""
    versions: str = ""
    date: str = ""


def read_results(path: Path) -> list[Result]:
    """Read the results of a CSV file, in the order in which they were added.

    Raises:
        ResultsError: the file is missing or cannot be read, holds no results, or has a damaged line.

    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ResultsError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot be read: {error.strerror or error}, expected a CSV file"
        ) from None
    except UnicodeDecodeError:
        raise ResultsError(f"{path}: is not a CSV file in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    results = []
    try:
        header = next(reader, [])
        _check_header(header)
        for values in reader:
            if len(values) != len(header):
                raise ResultsError(
                    f"line {reader.line_num}: got {len(values)} values, expected {len(header)}"
                )
            try:
                results.append(_result(dict(zip(header, values, strict=True))))
            except ResultsError as error:
                raise ResultsError(f"line {reader.line_num}: {error}") from None
    except csv.Error as error:
        raise ResultsError(f"{path}: line {reader.line_num}: is damaged: {error}") from None
    except ResultsError as error:
        raise ResultsError(f"{path}: {error}") from None
    if not results:
        raise ResultsError(f"{path}: holds no results")
    return results


def results_of(rows: Iterable[Row]) -> list[Result]:
    """Turn measured rows into results, as if they had been read from a file."""
    return [_result(row_texts(row)) for row in rows]


def latest(results: Iterable[Result]) -> dict[Key, Result]:
    """Keep the last result of each key. The keys stay in the order in which they first occur."""
    return {result.key: result for result in results}


def _check_header(header: list[str]) -> None:
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise ResultsError(f"line 1: names no column {missing[0]!r}, so these are no results of this command")
    if len(set(header)) != len(header):
        raise ResultsError("line 1: names a column twice")


def _result(columns: Mapping[str, str]) -> Result:
    key = Key(
        suite=columns["suite"],
        case=columns["case"],
        peer=columns["peer"],
        mode=columns["mode"],
        batch=_whole(columns, "batch"),
        sizes=columns["sizes"],
        threads=_whole(columns, "threads"),
        isa=columns["isa"],
        cpu=columns["cpu"],
        gpu=columns.get("gpu", ""),
    )
    lower, median, upper = (_positive(columns, name) for name in _TIMES)
    if not lower <= median <= upper:
        raise ResultsError(f"quartiles out of order: got {lower:g}, {median:g}, {upper:g}")
    return Result(
        key=key,
        seconds=Quartiles(lower, median, upper),
        speedup=_optional(columns, "speedup", _positive),
        compile_seconds=_optional(columns, "compile_seconds", _number),
        peak_allocated=_optional(columns, "peak_allocated_bytes", _number),
        peak_resident=_optional(columns, "peak_resident_bytes", _number),
        loss=_optional(columns, "loss", _number),
        share_of_floor=_optional(columns, "share_of_floor", _number),
        fma_rate=_optional(columns, "fma_rate", _number),
        bandwidth=_optional(columns, "bandwidth", _number),
        clock_mhz=_optional(columns, "clock_mhz", _number),
        commit=columns.get("commit", ""),
        versions=columns.get("versions", ""),
        date=columns.get("date", ""),
    )


def _optional(
    columns: Mapping[str, str], name: str, parse: Callable[[Mapping[str, str], str], T]
) -> T | None:
    return parse(columns, name) if columns.get(name) else None


def _whole(columns: Mapping[str, str], name: str) -> int:
    text = columns[name]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ResultsError(f"{name}: got {text!r}, expected a whole number")
    return int(text)


def _number(columns: Mapping[str, str], name: str) -> float:
    text = columns[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ResultsError(f"{name}: got {text!r}, expected a number")
    return value


def _positive(columns: Mapping[str, str], name: str) -> float:
    value = _number(columns, name)
    if value <= 0:
        raise ResultsError(f"{name}: got {columns[name]!r}, expected a number above 0")
    return value
