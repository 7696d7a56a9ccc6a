"""Measuring one model on one list, and the rows of a CSV file that hold it."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from namegen_bench.bench_errors import BenchError
from namegen_bench.quality.near_names import NearNames
from namegen_bench.quality.quality_models import MODELS_BY_NAME, QualityModel

# Names that are drawn to count copies among.
DRAWN = 400


@dataclass(frozen=True)
class QualityRow:
    """One model on one list, split by one seed. The fields are the columns of the CSV file.

    Attributes:
        list_name: of the list.
        names: how many names it has, lower-cased and distinct.
        seed: of the split, 80/10/10.
        model: one of :data:`namegen_bench.quality.quality_models.QUALITY_MODELS`.
        test_loss: in nats a character.
        copies: the share of drawn names that stand among the training names.
        near_copies: the share of those that are one letter away from one.
        seconds: what fitting took.
        processor_seconds: the same on the processor's clock, which other programs of the machine do not move.

    """

    list_name: str
    names: int
    seed: int
    model: str
    test_loss: float
    copies: float
    near_copies: float
    seconds: float
    processor_seconds: float


HEADER = tuple(field.name for field in fields(QualityRow))
_TYPES = {"str": str, "int": int, "float": float}


def read_list(path: Path) -> list[str]:
    """Read a list of names: lower case, stripped, distinct, empty lines dropped.

    Raises:
        BenchError: it cannot be read, or is no UTF-8.

    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{path}: cannot be read: {error}") from None
    return list(dict.fromkeys(name for line in lines if (name := line.strip().lower())))


def list_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files of lists: those given, and those below directories that end in .txt.

    Raises:
        BenchError: there are none.

    """
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise BenchError(f"{', '.join(map(str, paths))}: no list was found, expected files that end in .txt")
    return files


def measure(list_name: str, names: list[str], seed: int, model: QualityModel) -> QualityRow:
    """Fit a model on 80% of a list, and judge it by the last 10%, which it has not seen."""
    import namegen_ext

    began, processor_began = time.perf_counter(), time.process_time()
    generator = namegen_ext.fit(names, split_seed=seed, **model.options)
    seconds, processor_seconds = time.perf_counter() - began, time.process_time() - processor_began
    splits = namegen_ext.data.split_words(
        names, seed
    )  # a counting recipe may have learnt all names: judge as others
    near = NearNames(splits.train)
    drawn = generator.sample(DRAWN, seed=seed)
    return QualityRow(
        list_name=list_name,
        names=len(names),
        seed=seed,
        model=model.name,
        test_loss=generator.nll(splits.test),
        copies=sum(map(near.is_copy, drawn)) / len(drawn),
        near_copies=sum(map(near.is_near, drawn)) / len(drawn),
        seconds=seconds,
        processor_seconds=processor_seconds,
    )


def append_row(path: Path, row: QualityRow) -> None:
    """Add a row to a CSV file, with a header where the file is new.

    Raises:
        BenchError: it cannot be written.

    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    try:
        if not path.exists():
            writer.writerow(HEADER)
        writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in astuple(row))
        with path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())
    except OSError as error:
        raise BenchError(f"{path}: cannot be written: {error.strerror or error}") from None


def read_rows(path: Path) -> list[QualityRow]:
    """Read the rows of a CSV file.

    Raises:
        BenchError: it cannot be read, or has other columns or values.

    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path}: cannot be read: {error}") from None
    if not lines or tuple(lines[0]) != HEADER:
        raise BenchError(f"{path}: line 1: expected the columns {', '.join(HEADER)}")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            values = [
                _TYPES[str(field.type)](text) for field, text in zip(fields(QualityRow), line, strict=True)
            ]
            row = QualityRow(*values)
        except ValueError as error:
            raise BenchError(f"{path}: line {number}: {error}") from None
        if row.model not in MODELS_BY_NAME:
            raise BenchError(f"{path}: line {number}: there is no model {row.model!r}")
        rows.append(row)
    return rows
