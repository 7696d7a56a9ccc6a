"""Writes rows as text: one a line in columns, CSV, one JSON array, or a JSON object a line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

FORMATS = ("lines", "csv", "json", "jsonl")

# Numbers are computed in float32. Further digits would mean nothing.
_DIGITS = 6


def written_rows(
    rows: Iterable[Sequence[Mapping[str, Any]]], columns: Sequence[str], form: str
) -> Iterator[str]:
    """Write batches of rows.

    Args:
        rows: the batches.
        columns: the keys of the rows that are written, in their order. In JSON, keys of a row that are not there, or
            are None, are left out where the column's name ends with "?".
        form: one of :data:`FORMATS`. In "lines" tabs stand between the columns, and no header before them.

    Yields:
        The text of each batch, and what stands before the first and behind the last.

    """
    if form == "csv":
        yield _csv_line([column.removesuffix("?") for column in columns])
    if form == "json":
        yield "["
    separator = "\n"
    for batch in rows:
        if form in ("lines", "csv"):
            values = [[_text(row.get(column.removesuffix("?"))) for column in columns] for row in batch]
            yield "".join(map(_csv_line if form == "csv" else _tab_line, values))
            continue
        objects = [_object(row, columns) for row in batch]
        if form == "jsonl":
            yield "".join(text + "\n" for text in objects)
        elif objects:
            yield separator + ",\n".join(objects)
            separator = ",\n"
    if form == "json":
        yield "\n]\n"


def _object(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    values = {}
    for column in columns:
        name = column.removesuffix("?")
        if column == name or row.get(name) is not None:
            values[name] = _json_value(row.get(name))
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.{_DIGITS}f}" if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return ";".join(f"{key}:{_text(item)}" for key, item in value.items())
    return str(value)


def _csv_line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _tab_line(values: Sequence[str]) -> str:
    return "\t".join(values) + "\n"
