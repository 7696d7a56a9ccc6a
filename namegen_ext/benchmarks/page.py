"""``--page``: a Markdown page of the results in a CSV file, pictures and all the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from namegen_ext.benchmarks.charts.chart import Chart
from namegen_ext.benchmarks.charts.draw import all_charts
from namegen_ext.benchmarks.charts.look import DARK, LIGHT, looks_of
from namegen_ext.benchmarks.charts.scaling import short_bytes
from namegen_ext.benchmarks.charts.select import (
    case_title,
    grouped,
    of_one_machine,
    short_time,
    times_as_fast,
)
from namegen_ext.benchmarks.results import Result, latest

PICTURE_FORMATS = ("svg",)

_METHOD = """\
Times are medians; the quartiles stand behind them. Peers take turns, sample by sample; what compiles is compiled
before. Minibatches are drawn inside every step. The losses, or the outputs and gradients, of all peers were found
equal before a time was kept. "Times as fast" is over torch.nn, eager, in the same case (over batched, eager, where
names are drawn), at its best number of threads. "Of floor" is the time that the operations and the moving of bytes
would take at the rates of this machine, measured in the same run, over the median: 100% could not be made faster."""

# The tables of these are short; those of all other suites are folded away.
_OPEN = ("train", "sample", "time-to-loss")

# A heading, whether its cells are numbers, and what stands in them; None where a result has no such number.
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


def page_charts(results: Sequence[Result]) -> list[Chart]:
    """Return the charts that the page shows."""
    return all_charts(results)


def render_page(results: Sequence[Result], csv_path: str, page_path: str) -> str:
    """Write the page.

    Args:
        results: what the CSV file holds.
        csv_path: the CSV file as a command names it, from the root of the checkout.
        page_path: the page, likewise; its pictures lie in the directory of its name without the ending.

    Returns:
        Markdown; the same results give the same text.

    """
    shown = of_one_machine(results)
    suites = list(grouped(shown, lambda one: one.key.suite))
    parts = [
        "# Benchmarks",
        f"Measured on {_machine(shown)}, by",
        f"```\npython -m namegen_ext.bench {' '.join(suites)} --csv {csv_path}\n```",
        f"The numbers stand in [{Path(csv_path).name}]({_link(csv_path, page_path)}){_left_out(results, shown)}; page "
        "and pictures are made from it by",
        f"```\npython -m namegen_ext.bench --from {csv_path} --page {page_path}\n```",
        _METHOD,
        *_rates(shown),
    ]
    pictures = Path(page_path).stem
    for chart in page_charts(results):
        parts += [f"## {chart.title}", picture_html(chart, pictures)]
    parts.append("## All numbers")
    for suite, of_suite in grouped(shown, lambda one: one.key.suite).items():
        table = _table(of_suite)
        if suite in _OPEN:
            parts += [f"### {suite}", table]
        else:
            summary = f"<summary>{len(of_suite)} rows</summary>"
            parts += [f"### {suite}", f"<details>{summary}\n\n{table}\n\n</details>"]
    return "\n\n".join(parts) + "\n"


def picture_html(chart: Chart, directory: str) -> str:
    """Show a chart on a page, light or dark as the reader's pages are."""
    alt = chart.alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    light, dark = (f"{directory}/{chart.name}-{theme.name}.svg" for theme in (LIGHT, DARK))
    return (
        f'<picture>\n<source media="(prefers-color-scheme: dark)" srcset="{dark}">\n'
        f'<img src="{light}" alt="{alt}">\n</picture>'
    )


def _machine(shown: Sequence[Result]) -> str:
    last = shown[-1]
    gpu = next((one.key.gpu for one in reversed(shown) if one.key.gpu), "")
    days = sorted({one.date[:10] for one in shown if one.date})
    commits = list(dict.fromkeys(one.commit for one in shown if one.commit))
    parts = [
        last.key.cpu + (f" and {gpu}" if gpu else ""),
        f"kernels for {last.key.isa}",
        last.versions,
        f"commit {', '.join(commits)}" if commits else "",
        " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
    ]
    return ", ".join(part for part in parts if part)


def _left_out(results: Sequence[Result], shown: Sequence[Result]) -> str:
    others = len(latest(results)) - len(shown)
    return f", which also holds {others} of other machines" if others else ""


def _rates(shown: Sequence[Result]) -> list[str]:
    """Tell the machine's own rates, for each number of threads that has them."""
    lines = []
    for threads, same in sorted(grouped(shown, lambda one: one.key.threads).items()):
        known = [one for one in same if one.fma_rate is not None]
        if not known:
            continue
        last = known[-1]
        numbers = [f"{last.fma_rate / 1e9:,.0f} GFLOP/s of a float32 matrix product" if last.fma_rate else ""]
        numbers += [f"{last.bandwidth / 1e9:,.1f} GB/s of memory" if last.bandwidth else ""]
        numbers += [f"clock {last.clock_mhz:,.0f} MHz" if last.clock_mhz else ""]
        lines.append(
            f"- {threads} thread{'s' if threads != 1 else ''}: {', '.join(part for part in numbers if part)}"
        )
    return ["The machine's own rates:", "\n".join(lines)] if lines else []


def _table(of_suite: Sequence[Result]) -> str:
    """Write a suite's results as a Markdown table, without the columns that it has no numbers for."""
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


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(peer: str, suite: str) -> str:
    return looks_of([peer], suite)[peer].label


def _bytes(value: float | None) -> str | None:
    return None if value is None else short_bytes(value)


def _link(csv_path: str, page_path: str) -> str:
    directory = Path(page_path).parent
    path = Path(csv_path)
    return (path.relative_to(directory) if path.is_relative_to(directory) else path).as_posix()
