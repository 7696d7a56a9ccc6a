"""The tables of the Markdown page: all results of a suite, and whole steps with the peers side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from namegen_bench.reporting.charts.look import ENGINE, OWN, looks_of
from namegen_bench.reporting.charts.scaling_charts import short_bytes
from namegen_bench.reporting.charts.select import (
    best_of_threads,
    case_title,
    grouped,
    peers_of,
    short_time,
    times_as_fast,
)
from namegen_bench.reporting.results import Result

# Each column has a heading, tells whether its cells are numbers, and has a function that writes a cell. The function
# returns None where a result has no such value.
_COLUMNS: tuple[tuple[str, bool, Callable[[Result], str | None]], ...] = (
    ("case", False, lambda one: case_title(one.key.case)),
    ("sizes", False, lambda one: one.key.sizes or None),
    ("mode", False, lambda one: one.key.mode),
    ("batch", True, lambda one: f"{one.key.batch:,}"),
    ("peer", False, lambda one: _label(one.key.peer, one.key.suite)),
    ("threads", True, lambda one: str(one.key.threads)),
    ("time", True, lambda one: short_time(one.seconds.median)),
    ("quartiles", True, lambda one: f"{short_time(one.seconds.lower)} to {short_time(one.seconds.upper)}"),
    ("times as fast", True, lambda one: None if one.speedup is None else times_as_fast(one.speedup)),
    ("of floor", True, lambda one: None if one.share_of_floor is None else f"{one.share_of_floor:.0%}"),
    ("peak of allocator", True, lambda one: _bytes(one.peak_allocated)),
    ("peak of process", True, lambda one: _bytes(one.peak_resident)),
    ("compiling", True, lambda one: None if one.compile_seconds is None else f"{one.compile_seconds:.1f} s"),
    ("loss", True, lambda one: None if one.loss is None else f"{one.loss:.6f}"),
)


def suite_table(of_suite: Sequence[Result]) -> str:
    """Write a suite's results as a Markdown table, without the columns that are empty for all of them."""
    used = [
        (heading, is_number, write)
        for heading, is_number, write in _COLUMNS
        if any(write(one) is not None for one in of_suite)
    ]
    lines = [
        _line([heading for heading, _, _ in used]),
        _line(["--:" if is_number else "---" for _, is_number, _ in used]),
    ]
    lines += [_line([(write(one) or "").replace("|", "\\|") for _, _, write in used]) for one in of_suite]
    return "\n".join(lines)


def steps_table(steps: Sequence[Result]) -> str:
    """Write whole steps as a Markdown table with a line for each model and batch, and a column for each peer.

    Each peer has its best number of threads. The last column says how many times as fast the step engine is as the
    fastest peer that is not part of this package.
    """
    best = best_of_threads(steps)
    looks = looks_of(peers_of(best))
    headings = [
        "model",
        "batch",
        *(look.label for look in looks.values()),
        "step engine over the fastest other",
    ]
    lines = [_line(headings), _line(["---", *["--:"] * (len(headings) - 1)])]
    for (case, _, batch), same in grouped(
        best, lambda one: (one.key.case, one.key.sizes, one.key.batch)
    ).items():
        seconds = {one.key.peer: one.seconds.median for one in same}
        cells = [short_time(seconds[peer]) if peer in seconds else "" for peer in looks]
        cells = [
            f"**{cell}**" if cell and peer in ENGINE else cell
            for peer, cell in zip(looks, cells, strict=True)
        ]
        engine = [seconds[peer] for peer in ENGINE if peer in seconds]
        others = [value for peer, value in seconds.items() if peer not in OWN]
        over = times_as_fast(min(others) / min(engine)) if engine and others else ""
        lines.append(_line([case_title(case), f"{batch:,}", *cells, over]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(peer: str, suite: str) -> str:
    return looks_of([peer], suite)[peer].label


def _bytes(value: float | None) -> str | None:
    return None if value is None else short_bytes(value)
